// The unmodified Go client `centrifuge-go` against a running server that welcomes anonymous clients.
//
//	sdk-go http://127.0.0.1:PORT                    in JSON
//	FORM=protobuf sdk-go http://127.0.0.1:PORT      in Protobuf
//
// Two clients subscribe, talk, read history and presence; then one leaves and must recover all it missed.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// Any single wait.
const deadline = 10 * time.Second

var isProtobuf = os.Getenv("FORM") == "protobuf"

// number is a publication as it was heard.
type number struct {
	Offset uint64
	N      int
}

// person is a client with one subscription, and what it heard.
type person struct {
	client       *centrifuge.Client
	subscription *centrifuge.Subscription

	mutex      sync.Mutex
	heard      []number
	subscribed []centrifuge.SubscribedEvent
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sdk-go http://HOST:PORT")
		os.Exit(64)
	}
	server, err := url.Parse(os.Args[1])
	must(err)
	endpoint := fmt.Sprintf("ws://%s/connection/websocket", server.Host)
	channel := "sdk-go-" + rand.Text()
	alice, bob := arrive(endpoint, channel), arrive(endpoint, channel)
	step("two clients subscribe, with a position", func() error { return positioned(alice, bob) })
	step("a publication reaches both, in order and once", func() error { return delivered(alice, bob) })
	step("history gives it back", func() error { return history(bob) })
	step("presence names both clients", func() error { return presence(alice) })
	step("after disconnect and connect, nothing is missing", func() error { return recovers(alice, bob) })
	step("another user's inbox is refused by code", func() error { return foreignInbox(alice) })
	alice.client.Close()
	bob.client.Close()
}

func arrive(endpoint, channel string) *person {
	config := centrifuge.Config{MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 200 * time.Millisecond}
	one := &person{}
	if isProtobuf {
		one.client = centrifuge.NewProtobufClient(endpoint, config)
	} else {
		one.client = centrifuge.NewJsonClient(endpoint, config)
	}
	subscription, err := one.client.NewSubscription(channel)
	must(err)
	one.subscription = subscription
	subscription.OnPublication(func(event centrifuge.PublicationEvent) {
		one.mutex.Lock()
		defer one.mutex.Unlock()
		one.heard = append(one.heard, read(event.Publication))
	})
	subscription.OnSubscribed(func(event centrifuge.SubscribedEvent) {
		one.mutex.Lock()
		defer one.mutex.Unlock()
		one.subscribed = append(one.subscribed, event)
	})
	must(one.client.Connect())
	must(subscription.Subscribe())
	must(until("a subscription", func() bool { return one.subscriptions() == 1 }))
	return one
}

func positioned(people ...*person) error {
	for _, one := range people {
		first := one.subscribed[0]
		if !first.Recoverable || first.StreamPosition == nil || first.StreamPosition.Offset != 0 || first.StreamPosition.Epoch == "" {
			return fmt.Errorf("no position at the beginning of a stream: %+v", first)
		}
	}
	return nil
}

func delivered(alice, bob *person) error {
	if err := alice.publish(1, 20); err != nil {
		return err
	}
	return errors.Join(alice.hears(20), bob.hears(20))
}

func history(bob *person) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	result, err := bob.subscription.History(ctx, centrifuge.WithHistoryLimit(100))
	if err != nil {
		return err
	}
	var kept []number
	for _, publication := range result.Publications {
		kept = append(kept, read(publication))
	}
	if result.Offset != 20 || !reflect.DeepEqual(kept, numbers(20)) {
		return fmt.Errorf("the history is not what was published: %d %v", result.Offset, kept)
	}
	return nil
}

func presence(alice *person) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	present, err := alice.subscription.Presence(ctx)
	if err != nil {
		return err
	}
	stats, err := alice.subscription.PresenceStats(ctx)
	if err != nil {
		return err
	}
	if len(present.Clients) != 2 || stats.NumClients != 2 {
		return fmt.Errorf("two are there, and not %v and %+v", present.Clients, stats)
	}
	return nil
}

// Bob is away while ten are published; what he heard in all must be every number once, in order.
func recovers(alice, bob *person) error {
	if err := bob.client.Disconnect(); err != nil {
		return err
	}
	if err := alice.publish(21, 30); err != nil {
		return err
	}
	if err := bob.client.Connect(); err != nil {
		return err
	}
	if err := until("bob subscribed again", func() bool { return bob.subscriptions() == 2 }); err != nil {
		return err
	}
	if again := bob.subscribed[1]; !again.WasRecovering || !again.Recovered {
		return fmt.Errorf("not recovered: %+v", again)
	}
	if err := alice.publish(31, 31); err != nil {
		return err
	}
	return bob.hears(31)
}

func foreignInbox(alice *person) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	_, err := alice.client.History(ctx, "#somebody-else", centrifuge.WithHistoryLimit(1))
	var refusal *centrifuge.Error
	if !errors.As(err, &refusal) || refusal.Code != 103 {
		return fmt.Errorf("reading another user's inbox was not refused with 103: %v", err)
	}
	return nil
}

func (one *person) publish(first, last int) error {
	for n := first; n <= last; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		_, err := one.subscription.Publish(ctx, []byte(fmt.Sprintf(`{"n":%d}`, n)))
		cancel()
		if err != nil {
			return fmt.Errorf("publish %d: %w", n, err)
		}
	}
	return nil
}

func (one *person) subscriptions() int {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	return len(one.subscribed)
}

// hears waits until so many came, which must be every number once and in order.
func (one *person) hears(count int) error {
	err := until(fmt.Sprintf("%d publications", count), func() bool {
		one.mutex.Lock()
		defer one.mutex.Unlock()
		return len(one.heard) >= count
	})
	one.mutex.Lock()
	defer one.mutex.Unlock()
	if err == nil && !reflect.DeepEqual(one.heard, numbers(count)) {
		err = fmt.Errorf("not every number once and in order: %v", one.heard)
	}
	return err
}

func read(publication centrifuge.Publication) number {
	var data struct{ N int }
	must(json.Unmarshal(publication.Data, &data))
	return number{publication.Offset, data.N}
}

// numbers are offsets and contents; both begin at 1 and follow one another.
func numbers(count int) []number {
	var all []number
	for n := 1; n <= count; n++ {
		all = append(all, number{uint64(n), n})
	}
	return all
}

func until(what string, holds func() bool) error {
	end := time.Now().Add(deadline)
	for !holds() {
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain: %s", deadline, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func step(name string, run func() error) {
	start := time.Now()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL  %s\n  %v\n", name, err)
		os.Exit(1)
	}
	fmt.Printf("ok    %s (%d ms)\n", name, time.Since(start).Milliseconds())
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL ", err)
		os.Exit(1)
	}
}
