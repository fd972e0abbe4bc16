package cookie

// Observe has tell called after the store has changed, whoever changed it; a File
// also where it took in what another process wrote (Apple's
// NSHTTPCookieManagerCookiesChanged). Changes that follow each other fast are told
// once. Calls come one at a time for all observers of the store, on a goroutine that
// lives as long as there is something to tell and holds no lock: tell may use the
// store, but while it takes its time no other observer is told. After stop no call
// begins; one that runs may go on.
func (s *Store) Observe(tell func()) (stop func()) { return s.observers.Add(tell) }
