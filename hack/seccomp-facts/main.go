// What containerd's default seccomp profile is for each subject on stdin: a JSON object a line, in and out.
// hack/compare-seccomp puts containerd's own source beside this file, with its architecture and kernel made variable.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/containerd/containerd/v2/pkg/kernelversion"
	"github.com/opencontainers/runtime-spec/specs-go"
)

type subject struct {
	Capabilities []string  `json:"capabilities"`
	Architecture string    `json:"architecture"`
	Kernel       [2]uint64 `json:"kernel"`
}

var (
	architecture string
	kernel       [2]uint64
)

func isAtLeast(least kernelversion.KernelVersion) (bool, error) {
	return kernel[0] > least.Kernel || kernel[0] == least.Kernel && kernel[1] >= least.Major, nil
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var one subject
		if err := in.Decode(&one); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		architecture, kernel = one.Architecture, one.Kernel
		process := &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: one.Capabilities}}
		if err := out.Encode(DefaultProfile(&specs.Spec{Process: process})); err != nil {
			log.Fatal(err)
		}
	}
}
