package load

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A list of a built-in kind comes as protobuf. It is decoded object by object, and managedFields, often the larger half of
// one, are cut out before.
//
//  1. The body is the magic number and a runtime.Unknown, whose raw bytes are the list.
//  2. Of every list, metadata is field 1, and each field 2 is an item; of every item, metadata is field 1.
//  3. Of metadata, managedFields is field 17.
//
// Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; pkg/runtime and pkg/apis/meta/v1, generated.proto.

// protobufMagic begins every body.
var protobufMagic = []byte{0x6b, 0x38, 0x73, 0x00}

const (
	fieldUnknownRaw    protowire.Number = 2
	fieldMetadata      protowire.Number = 1
	fieldItems         protowire.Number = 2
	fieldManagedFields protowire.Number = 17
)

// protobufObject is an object that knows its own encoding.
type protobufObject interface {
	Unmarshal([]byte) error
}

// pageOfProtobuf decodes a list object by object. One that does not fit the Go type is a gap.
func pageOfProtobuf(q listQuery, body []byte) (page, error) {
	unknown, ok := bytes.CutPrefix(body, protobufMagic)
	if !ok {
		return page{}, errors.New("the server's answer is no protobuf")
	}
	var list []byte
	err := eachField(unknown, func(f protobufField) error {
		if f.number == fieldUnknownRaw {
			list = f.content
		}
		return nil
	})
	if err != nil {
		return page{}, err
	}
	var out page
	err = eachField(list, func(f protobufField) error {
		switch f.number {
		case fieldMetadata:
			var meta metav1.ListMeta
			if err := meta.Unmarshal(f.content); err != nil {
				return err
			}
			out.next, out.version = meta.Continue, meta.ResourceVersion
		case fieldItems:
			out.takeProtobuf(q, f.content)
		}
		return nil
	})
	return out, err
}

// takeProtobuf is one item.
func (p *page) takeProtobuf(q listQuery, item []byte) {
	o := q.newItem()
	decoder, ok := o.(protobufObject)
	if !ok {
		p.unreadable = append(p.unreadable, q.unreadable(o, fmt.Errorf("%T has no protobuf encoding", o)))
		return
	}
	item, err := withoutManagedFields(item)
	if err == nil {
		err = decoder.Unmarshal(item)
	}
	if err != nil {
		p.unreadable = append(p.unreadable, q.unreadable(o, err))
		return
	}
	p.take(q, o)
}

// withoutManagedFields is an object's encoding with metadata.managedFields cut out.
func withoutManagedFields(item []byte) ([]byte, error) {
	out := make([]byte, 0, len(item))
	err := eachField(item, func(f protobufField) error {
		if f.number != fieldMetadata {
			out = append(out, f.whole...)
			return nil
		}
		meta := make([]byte, 0, len(f.content))
		err := eachField(f.content, func(f protobufField) error {
			if f.number != fieldManagedFields {
				meta = append(meta, f.whole...)
			}
			return nil
		})
		out = protowire.AppendBytes(protowire.AppendTag(out, fieldMetadata, protowire.BytesType), meta)
		return err
	})
	return out, err
}

// protobufField is one field of a message: all its bytes, and the content of one of variable length.
type protobufField struct {
	number         protowire.Number
	whole, content []byte
}

func eachField(message []byte, each func(protobufField) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		value := protowire.ConsumeFieldValue(number, kind, message[n:])
		if value < 0 {
			return protowire.ParseError(value)
		}
		f := protobufField{number: number, whole: message[:n+value]}
		if kind == protowire.BytesType {
			f.content, _ = protowire.ConsumeBytes(message[n:])
		}
		if err := each(f); err != nil {
			return err
		}
		message = message[n+value:]
	}
	return nil
}

var (
	_ protobufObject = &runtime.Unknown{}
	_ resolve.Object = &metav1.PartialObjectMetadata{}
)
