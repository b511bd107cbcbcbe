module cri-ts/seccomp-facts

go 1.26.6

require (
	github.com/containerd/containerd/v2 v2.4.2
	github.com/opencontainers/runtime-spec v1.3.0
	golang.org/x/sys v0.48.0
)
