module cri-ts/test-programs

go 1.26.0
