module cri-ts/emulated-program

go 1.26.0
