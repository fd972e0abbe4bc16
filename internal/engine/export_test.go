package engine

import "github.com/urlkit/urlkit/internal/httpcache"

// IgnoreInCache switches off what the cache makes of directives and fields.
func (e *Engine) IgnoreInCache(names httpcache.Name) { e.cacheRules = httpcache.Without(names) }

// WaitForBackground waits for the validations that run.
func (e *Engine) WaitForBackground() { e.background.running.Wait() }

// Waited tells how many keys others wait for.
func (e *Engine) Waited() int {
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()

	return len(e.flights.byKey)
}
