// One program for the test images, which does what the name it is started by stands for:
//
//	nginx [PORT]   answers 200 over HTTP; its process is named nginx, its argv[0] and its pid file are as nginx's
//	httpd [PORT]   answers 200 over HTTP, and logs that it serves
//	nonewprivs     prints the effective user: setuid to root in its image, so that no_new_privs makes a difference
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	nginxTitle   = "nginx: master process nginx"
	nginxPidFile = "/var/run/nginx.pid"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}

func run() error {
	switch name := filepath.Base(os.Args[0]); {
	case name == "nginx":
		program, err := os.Executable()
		if err != nil {
			return err
		}
		// As nginx shows itself; the kernel's name for the process stays that of the file.
		return syscall.Exec(program, append([]string{nginxTitle}, os.Args[1:]...), os.Environ())
	case os.Args[0] == nginxTitle:
		if err := os.WriteFile(nginxPidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return err
		}
		return serve("nginx")
	case name == "httpd":
		return serve("httpd")
	case name == "nonewprivs":
		fmt.Printf("Effective uid: %d\n", os.Geteuid())
		return nil
	default:
		return fmt.Errorf("known are nginx, httpd and nonewprivs")
	}
}

// serve runs until it is asked to end: as the first process of its namespace it has no default for signals.
func serve(name string) error {
	port := append(os.Args[1:], "80")[0]
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	failed := make(chan error, 1)
	go func() {
		fmt.Fprintf(os.Stderr, "%s: serving on port %s\n", name, port)
		failed <- http.ListenAndServe(":"+port, http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(writer, "port %s\n", port)
		}))
	}()
	select {
	case err := <-failed:
		return err
	case <-signals:
		return nil
	}
}
