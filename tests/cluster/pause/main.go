// pause holds namespaces open: those of a pod, as its first container, and those of a node of a test cluster. It is
// the first process of its process namespace, so the kernel hands it orphans; ignoring SIGCHLD has them reaped.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
