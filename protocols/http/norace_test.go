//go:build !race

package http

func raceEnabled() bool { return false }
