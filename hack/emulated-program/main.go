// A program for another architecture than the host's: prints which one it is for. `wait` runs until it is asked to end.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

func main() {
	// Several threads: the emulator makes more system calls for them than for one.
	var group sync.WaitGroup
	for range 4 {
		group.Go(runtime.GC)
	}
	group.Wait()
	fmt.Printf("%s, user %d\n", runtime.GOARCH, os.Geteuid())
	if len(os.Args) < 2 || os.Args[1] != "wait" {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	fmt.Println("asked to end")
}
