package engine

// Cancel refuses new loads and cancels the running ones. It does not wait.
func (e *Engine) Cancel() {
	running := e.clock.close(true)
	e.background.end()
	for _, l := range running {
		l.cancel(ErrInvalidated)
	}
	for _, l := range running {
		go l.abandon(ErrInvalidated) // closing a body may wait for the app's
	}
}

// Finish refuses new loads, returns when the last of the running ones is done, and
// closes the protocols.
func (e *Engine) Finish() error {
	e.clock.close(false)
	e.background.end() // nobody waits for those
	e.clock.active.Wait()
	e.background.running.Wait()
	e.clock.stopTimer()
	if instances := e.instances.Swap(nil); instances != nil { // a flush that is under way finds none
		return instances.Close()
	}

	return nil
}

// Close refuses new loads, cancels the running ones, returns when the last is
// done, and closes the protocols.
func (e *Engine) Close() error {
	e.Cancel()

	return e.Finish()
}
