// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package load

// Need is something that not every library has.
type Need string

const (
	NeedSharing      Need = "sharing"      // several calls or streams at a time on a connection
	NeedStreams      Need = "streams"      // any kind of them
	NeedServer       Need = "server"       // a minimal server, see Fleet
	NeedHandlers     Need = "handlers"     // of methods other than Instant
	NeedDeadlines    Need = "deadlines"    // that servers hear of
	NeedCancellation Need = "cancellation" // of contexts
	NeedMetadata     Need = "metadata"
	NeedInterceptors Need = "interceptors"
)

// Needs returns what the axis needs.
func (a Axis) Needs() []Need {
	var needs []Need
	growing := a.Kind == Unary && a.Callers == 0
	if a.Callers > a.Conns || growing || a.Kind == Stall || a.Kind == IdleStreams || a.Kind == Blocked {
		needs = append(needs, NeedSharing)
	}
	switch a.Kind {
	case ServerStream, ClientStream, PingPong, Duplex, Stall, IdleStreams:
		needs = append(needs, NeedStreams)
	case Fleet:
		needs = append(needs, NeedServer)
	}
	if a.Method != "" && a.Method != Instant {
		needs = append(needs, NeedHandlers)
	}
	switch a.With {
	case Deadline:
		needs = append(needs, NeedDeadlines)
	case Cancel:
		needs = append(needs, NeedCancellation)
	case Metadata:
		needs = append(needs, NeedMetadata)
	case Interceptors:
		needs = append(needs, NeedInterceptors)
	}
	return needs
}
