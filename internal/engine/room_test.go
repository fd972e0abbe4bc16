package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

func TestPauseStopsBothClocks(t *testing.T) {
	tests := []struct {
		name   string
		before func(*engine.Room)   // the load begins
		during []func(*engine.Room) // one each minute after that
		after  time.Duration        // the load fails
		text   string
	}{
		{"never", nil, nil, 100 * time.Second, "no byte moved"},
		{"before the load", (*engine.Room).Pause, []func(*engine.Room){(*engine.Room).Continue}, 160 * time.Second, "no byte moved"},
		{"before, and no more", func(r *engine.Room) { r.Pause(); r.Continue() }, nil, 100 * time.Second, "no byte moved"},
		{"during it", nil, []func(*engine.Room){(*engine.Room).Pause, (*engine.Room).Continue}, 220 * time.Second, "no byte moved"},
		{"twice", nil, []func(*engine.Room){
			(*engine.Room).Pause, (*engine.Room).Pause, (*engine.Room).Continue, (*engine.Room).Continue,
		}, 340 * time.Second, "no byte moved"},
		{"again and again", nil, []func(*engine.Room){
			(*engine.Room).Pause, (*engine.Room).Continue, (*engine.Room).Pause, (*engine.Room).Continue, (*engine.Room).Pause, (*engine.Room).Continue,
		}, 420 * time.Second, "not complete"},
		{"a Continue too many", (*engine.Room).Continue, []func(*engine.Room){(*engine.Room).Continue}, 100 * time.Second, "no byte moved"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				e := open(t, engine.Config{RequestTimeout: 100 * time.Second, ResourceTimeout: 4 * time.Minute}, scheme("https", protocols.Encrypted, stalls))
				room := new(engine.Room)
				if tt.before != nil {
					tt.before(room)
				}
				for i, do := range tt.during {
					time.AfterFunc(time.Duration(i+1)*time.Minute, func() { do(room) })
				}
				began := time.Now()
				_, err := e.LoadIn(room, t.Context(), request(t, "GET", "https://a.example/"), nil)
				if got := failure(t, err, protocols.TimedOut); time.Since(began) != tt.after || !contains(got.Error(), tt.text) {
					t.Errorf("%v after %v", got, time.Since(began))
				}
				room.Continue() // after the end
				room.Pause()
				room.Continue()
			})
		})
	}
}

// A load that is paused ends with its context and its session all the same.
func TestPausedLoadEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, stalls))
		room := new(engine.Room)
		room.Pause()
		time.AfterFunc(30*24*time.Hour, func() { _ = e.Close() })
		_, err := e.LoadIn(room, t.Context(), request(t, "GET", "https://a.example/"), nil)
		failure(t, err, protocols.Cancelled)
	})
}

func TestPauseRaces(t *testing.T) {
	leak.Check(t)
	e := open(t, engine.Config{RequestTimeout: time.Hour}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			return reply(200, "body"), nil
		}))
	for range 100 {
		room := new(engine.Room)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for range 10 {
					room.Pause()
					room.Continue()
				}
			})
		}
		resp, err := e.LoadIn(room, t.Context(), request(t, "GET", "https://a.example/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := engine.ReadAll(resp, -1); err != nil || string(body) != "body" {
			t.Errorf("%q, %v", body, err)
		}
		all.Wait()
	}
}
