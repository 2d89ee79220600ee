// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

// Package ttrpc makes remote procedure calls between the processes of one
// machine. Services are defined as for gRPC; what goes over the connection is a
// header of ten bytes and a protobuf message, without HTTP/2.
//
// # Servers
//
// A [Server] is made by [NewServer], given services, usually by the Register
// function that protoc-gen-go-ttrpc generates for each, and given listeners:
//
//	srv, err := ttrpc.NewServer()
//	example.RegisterTasksService(srv, implementation)
//	err = srv.Serve(ctx, listener)
//
// Every call is handled in a goroutine, so handlers run at the same time, also
// those of one connection. A handler's context ends when the handler returns,
// when the client cancels the call or has disconnected, when the deadline that
// the client set passes, when Serve's context ends while the handler runs, and
// when the server is closed. To stop a server takes Shutdown or Close: Serve goes
// on when its context has ended. A handler's context carries the values of
// Serve's context, the client's metadata ([GetMetadata]), and the peer's address
// and identity ([GetPeer]).
//
// # Clients
//
// A [Client] owns one connection, which may be any net.Conn, and makes any
// number of calls on it at the same time. When the connection ends, it stays
// ended: every call returns [ErrClosed], and the function of [WithOnClose] is
// called. To go on, dial again and make another Client.
//
// # Streams
//
// A method may take or return a stream of messages. The client opens it with
// [Client.NewStream] or a generated stub; [ClientStream] and [StreamServer] are
// its two ends. A client half-closes a stream with CloseSend; a stream ends when
// its handler returns.
//
// Nobody has to read a stream for anything else to go on. Messages that have
// arrived and have not been received are kept, within a budget per stream and
// per connection ([WithClientReceiveBudget], [WithServerReceiveBudget]). A
// stream that exceeds it ends with [ErrStreamFull], or for the other side with
// codes.ResourceExhausted; calls do not notice, nor do streams that keep little
// themselves. The client of a stream that it will not receive to its end should
// cancel the context with which it was opened.
//
// # Messages
//
// Messages are those of google.golang.org/protobuf. Those of gogo's generators,
// and of the older github.com/golang/protobuf, are accepted as well. With
// [WithServerVTProtobuf] and [WithClientVTProtobuf], the methods that vtprotobuf
// generates are used where a message has them. Nothing that is passed in or out
// shares memory with the connection's buffers.
//
// # Metadata
//
// A call may carry an [MD] from client to server, put into its context by
// [WithMetadata]. A handler that makes calls with its own context passes it on.
// There is none in the other direction.
//
// # Interceptors
//
// [UnaryClientInterceptor], [UnaryServerInterceptor] and
// [StreamServerInterceptor] stand around calls: to log, to measure, to check, to
// change. Options chain them, the first one outermost. Streams have none on the
// client.
//
// # Errors and status
//
// What a handler returns becomes a status, which the client's call returns as
// an error that google.golang.org/grpc/status understands. An error that has a
// status keeps its code, also if it is wrapped. Others get one by what they are
// or wrap: io.EOF OutOfRange; io.ErrClosedPipe, ErrNoProgress, ErrShortBuffer,
// ErrShortWrite and ErrUnexpectedEOF FailedPrecondition; os.ErrInvalid
// InvalidArgument; context.Canceled Canceled; context.DeadlineExceeded
// DeadlineExceeded; os.ErrExist AlreadyExists; os.ErrNotExist NotFound;
// os.ErrPermission PermissionDenied; ErrStreamFull ResourceExhausted; the rest
// Unknown.
//
// A call whose own context ends returns that context's error, not a status. A
// connection that ends makes every call on it return [ErrClosed], not a status
// either. What is wrong with one call fails that call; what is wrong with a
// stream ends that stream; only what makes the connection unreadable ends the
// connection.
//
// A panic in a handler ends the process, unless [WithServerPanicRecovery] is
// set.
//
// # Concurrency and shutdown
//
// All types are safe for use by several goroutines, except that an [MD] that is
// shared must not be changed.
//
// Every function that can wait and has a context, except Serve, leaves when that
// ends, also if the peer has stopped reading. A frame that was half written by then is
// finished in the background.
//
// [Server.Shutdown] lets what is in flight finish, [Server.Close] does not. Both
// may be called by a handler.
//
// # Credentials
//
// A [Handshaker] sees a connection before anything else does. On Linux, macOS and
// FreeBSD, UnixSocketRequireSameUser and its relatives admit peers by user and
// group; what they learn is in [Peer].AuthInfo. A handshake has a time limit and
// delays nobody.
//
// # Limits
//
// A message, with its envelope, has at most 4 MiB. A server has at most 65536
// connections, and a connection at most 8192 calls in flight; streams keep at most
// 16 MiB each and 64 MiB together, a handshake takes at most 10 seconds, a frame
// that has begun arrives within 2 minutes, and a peer that has to read does so
// within 10 seconds. Idle connections stay. Options change all of that: for zero
// and negative values see each. Without an option, a call has at most 1 MiB of
// metadata, a message 1000 levels, a status 1024 details, and a connection 1 GiB
// of requests whose handlers run. SECURITY.md says what follows from them.
//
// # Logging
//
// What no caller can be told goes to a [Logger]. Without one, an error is a line
// of the standard log, such as
//
//	ttrpc: error receiving message error="frame length 1195725856: protocol error"
//
// and the rest is dropped. Errors are: a connection that ended because of what
// the peer sent, or did not read ("error receiving message"), a handshake that
// failed ("refusing connection after handshake", "client handshake failed"), a
// panic that was contained ("handler panicked"), an Accept that failed ("failed
// accept; backoff 1s"), and connections above the limit ("connection refused:
// there are too many"). Who reads the logs of v1.2.10 finds "error receiving
// message", "refusing connection after handshake" and "failed accept; backoff" with
// its words, and nothing of what it said of single frames: those are answered, and
// not logged.
//
// # Protocol
//
// PROTOCOL.md describes what goes over the connection. It is that of
// github.com/containerd/ttrpc and of ttrpc-rust; one frame type, which other
// peers ignore, tells a server that a call has been cancelled.
package ttrpc
