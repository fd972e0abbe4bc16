package path

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
)

// The groups of netlink's route family (rtnetlink(7)) whose events concern the path.
const groups = 1<<0 | // RTMGRP_LINK
	1<<4 | 1<<6 | // RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE
	1<<8 | 1<<10 // RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE

// watch listens to route events; stop is nil where it may not.
func watch(report func()) (stop func()) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groups}); err != nil {
		_ = syscall.Close(fd)

		return nil
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	go func() {
		events := make([]byte, 16<<10)
		for {
			// What an event says is looked up; where events were lost (ENOBUFS) too.
			if _, err := socket.Read(events); err != nil && !errors.Is(err, syscall.ENOBUFS) {
				return
			}
			report()
		}
	}()

	return func() { _ = socket.Close() }
}

// look finds the default routes: there is a path where one is there.
func look() Path {
	routes, err := defaultRoutes()
	if err != nil {
		return byInterfaces()
	}
	h := fnv.New64a()
	interfaces(h)
	p := Path{Satisfied: len(routes) > 0, Cellular: len(routes) > 0}
	for _, index := range routes {
		_, _ = fmt.Fprintln(h, index)
		p.Cellular = p.Cellular && isCellular(index)
	}
	p.Expensive, p.ID = p.Cellular, h.Sum64()

	return p
}

// defaultRoutes are the interfaces of the main table's routes to everywhere that are of
// use, sorted; 0 for a route that has several.
func defaultRoutes() (indexes []int, err error) {
	dump, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		// struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type.
		if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg ||
			m.Data[1] != 0 || m.Data[4] != syscall.RT_TABLE_MAIN || m.Data[7] != syscall.RTN_UNICAST {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		index := 0
		for _, a := range attributes {
			if a.Attr.Type == syscall.RTA_OIF && len(a.Value) == 4 {
				index = int(binary.NativeEndian.Uint32(a.Value))
			}
		}
		if index == 0 || leadsOut(index) {
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes)

	return indexes, nil
}

// leadsOut tells whether an interface is up and leads to other hosts.
func leadsOut(index int) bool {
	i, err := net.InterfaceByIndex(index)

	return err == nil && i.Flags&(net.FlagUp|net.FlagLoopback) == net.FlagUp
}

// isCellular tells whether the system calls an interface one of a modem for wide area
// networks.
func isCellular(index int) bool {
	i, err := net.InterfaceByIndex(index)
	if err != nil || strings.ContainsAny(i.Name, "/.") {
		return false
	}
	facts, err := os.ReadFile("/sys/class/net/" + i.Name + "/uevent")

	return err == nil && slices.Contains(strings.Split(string(facts), "\n"), "DEVTYPE=wwan")
}
