//go:build !linux

package path

// watch is nil: there is nothing to listen to that all of these systems have.
var watch func(report func()) (stop func())

func look() Path { return byInterfaces() }
