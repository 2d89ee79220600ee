// SPDX-FileCopyrightText: The ttrpc Authors
// SPDX-License-Identifier: Apache-2.0

package stubgen

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// unaryService returns a service with methods that are not streams.
func unaryService(name string, methods ...string) *Service {
	s := &Service{Name: name, FullName: "p." + name, Place: name + ".proto:1:1"}
	for _, method := range methods {
		s.Methods = append(s.Methods, &Method{Name: method, ProtoName: method, Place: name + ".proto:2:3", Request: "M", Response: "M"})
	}
	return s
}

func TestPackageNamesWhatIsNew(t *testing.T) {
	s := unaryService("Foo", "Do", "Undo")
	require.NoError(t, NewPackage().AddServices([]*File{{Services: []*Service{s}}}))
	require.Equal(t, "UnimplementedFooService", s.unimplemented)
	require.Equal(t, "Foo_Do_FullMethodName", s.Methods[0].fullNameConstant)
	require.Equal(t, "Foo_Undo_FullMethodName", s.Methods[1].fullNameConstant)
	require.Same(t, s, s.Methods[1].service)
}

// Whichever file comes first, the names that upstream has stay.
func TestPackageKeepsNamesInEveryOrder(t *testing.T) {
	for _, names := range [][]string{{"Foo", "UnimplementedFoo"}, {"UnimplementedFoo", "Foo"}} {
		services := make(map[string]*Service)
		var files []*File
		for _, name := range names {
			services[name] = unaryService(name)
			files = append(files, &File{Services: []*Service{services[name]}})
		}
		require.NoError(t, NewPackage().AddServices(files))
		require.Equal(t, "UnimplementedFooService_", services["Foo"].unimplemented)
		require.Equal(t, "UnimplementedUnimplementedFooService", services["UnimplementedFoo"].unimplemented)
	}
}

// Whichever file comes first, the same of two methods has the name that both would.
func TestPackageNamesInEveryOrder(t *testing.T) {
	a, ab := unaryService("A", "B_C"), unaryService("A_B", "C")
	one, other := &File{Services: []*Service{a}}, &File{Services: []*Service{ab}}
	for _, files := range [][]*File{{one, other}, {other, one}} {
		require.NoError(t, NewPackage().AddServices(files))
		require.Equal(t, "A_B_C_FullMethodName", a.Methods[0].fullNameConstant)
		require.Equal(t, "A_B_C_FullMethodName_", ab.Methods[0].fullNameConstant)
	}
}

func TestPackageBeginningWith(t *testing.T) {
	p := NewPackage()
	for _, name := range []string{"status1", "Status", "status", "stat"} {
		p.DeclareOther(name, "message p.M", "a.proto")
	}
	require.Equal(t, []string{"status", "status1"}, p.BeginningWith("status"))
}

// A type may be declared twice: whose names these are has to deal with it.
func TestPackageLeavesTypesToTheirGenerator(t *testing.T) {
	p := NewPackage()
	p.DeclareOther("FooService", "message p.A", "a.proto:1:1")
	p.DeclareOther("FooService", "message p.B", "b.proto:1:1")
	require.EqualError(t, p.AddServices([]*File{{Services: []*Service{unaryService("Foo")}}}),
		"Foo.proto:1:1: service p.Foo needs the Go name FooService, which message p.B has (b.proto:1:1)")
}

func TestPackageReportsMethodsOnce(t *testing.T) {
	s := unaryService("Foo", "Do", "Do")
	s.Methods[1].ProtoName, s.Methods[1].ClientStreams = "do", true
	require.EqualError(t, NewPackage().AddServices([]*File{{Services: []*Service{s}}}),
		"Foo.proto:2:3: method p.Foo.do needs the Go name Do, which method p.Foo.Do has (Foo.proto:2:3)")
}

func TestServedAndCalledAs(t *testing.T) {
	for _, test := range []struct {
		method   Method
		calledAs string
		servedAs []string
	}{
		{Method{Name: "DoIt", ProtoName: "DoIt"}, "DoIt", []string{"DoIt"}},
		{Method{Name: "DoIt", ProtoName: "do_it"}, "do_it", []string{"do_it", "DoIt"}},
		{Method{Name: "DoIt", ProtoName: "do_it", ClientStreams: true}, "DoIt", []string{"do_it", "DoIt"}},
		{Method{Name: "DoIt", ProtoName: "do_it", ServerStreams: true}, "DoIt", []string{"do_it", "DoIt"}},
	} {
		test.method.service = &Service{FullName: "p.Foo"}
		require.Equal(t, test.calledAs, test.method.calledAs())
		require.Equal(t, test.servedAs, test.method.servedAs())
		require.Equal(t, "/p.Foo/"+test.calledAs, test.method.fullName())
	}
}
