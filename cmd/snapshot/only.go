package snapshot

import (
	"maps"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"
	extensions "istio.io/api/extensions/v1alpha1"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networking "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1beta1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Fields that are read for one thing which may be in them:
//
//  1. Of the variables of a container, of a ProxyConfig and of proxyMetadata: those that a trace asks for by name.
//  2. Of the command and the arguments: what makes a container a proxy, and which kind of one.
//  3. Of the image: that the webhook is to choose it.
//  4. Of the keys that a RequestAuthentication holds: that it does.
//  5. Of the code and modules of extensions: that there are some; of patches what resolve.OnlyReadOfPatch leaves.

// only is the value without what else is in it; false where it counts as a whole.
func only(v reflect.Value) (reflect.Value, bool) {
	if v.Type() != reflect.TypeFor[corev1.Container]() {
		return v, false
	}
	c, _ := v.Interface().(corev1.Container)
	out := c.DeepCopy()
	out.Env = slices.DeleteFunc(out.Env, func(e corev1.EnvVar) bool { return !slices.Contains(readVariables, e.Name) })
	if len(out.Env) == 0 {
		out.Env = nil
	}
	out.Command, out.Args = nil, nil
	if kind := resolve.ProxyType(c); kind != "" {
		out.Args = []string{"proxy", kind}
	}
	if !resolve.ImageChosenByWebhook(c) {
		out.Image = ""
	}
	return reflect.ValueOf(out).Elem(), true
}

// leftOut stands for a text of which a trace reads that it is there.
const leftOut = "left out"

// onlyOfMessage does the same to a message of Istio's API.
func onlyOfMessage(m proto.Message) {
	switch m := m.(type) {
	case *meshconfig.ProxyConfig:
		m.ProxyMetadata = readOf(m.ProxyMetadata)
	case *networking.ProxyConfig:
		m.EnvironmentVariables = readOf(m.EnvironmentVariables)
	case *security.JWTRule:
		if m.Jwks != "" {
			m.Jwks = leftOut
		}
	case *networkingv1alpha3.EnvoyFilter_Patch:
		resolve.OnlyReadOfPatch(m.Value)
	case *extensions.LuaConfig:
		m.InlineCode = leftOutIf(m.InlineCode)
	case *extensions.WasmConfig:
		m.Url = leftOutIf(m.Url)
	case *extensions.WasmPlugin:
		m.Url = leftOutIf(m.Url)
	}
}

// leftOutIf is leftOut where there is a text.
func leftOutIf(text string) string {
	if text == "" {
		return ""
	}
	return leftOut
}

func readOf(variables map[string]string) map[string]string {
	maps.DeleteFunc(variables, func(name, _ string) bool { return !slices.Contains(readVariables, name) })
	return variables
}

// readVariables are the variables that a trace asks for.
var readVariables = slices.Concat(resolve.IstiodSwitches, resolve.ProxyVariables)
