package credential

// Observe has tell called after the store has changed: a credential is another, came
// or went, or another one is the default of its space (Apple's
// NSURLCredentialStorageChanged). Changes that follow each other fast are told once.
// Calls come one at a time for all observers of the store, on a goroutine that lives
// as long as there is something to tell and holds no lock. After stop no call begins;
// one that runs may go on.
func (s *Store) Observe(tell func()) (stop func()) { return s.observers.Add(tell) }
