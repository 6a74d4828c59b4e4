package scale
import ("testing";"os";"time";"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster")
func TestHold(t *testing.T){
 c:=cluster.Start(t); m:=Mesh{Services:5000,Pods:25000}; s:=time.Now(); counts,err:=Fill(c,m); if err!=nil{t.Fatal(err)}; t.Log("put",time.Since(s)); filled(t,c,counts); t.Log("filled",time.Since(s))
 roles,_:=os.ReadFile(rolesFile); c.Apply(t,string(roles),bindings)
 u:=c.ConfigFor(t,"jane",time.Now().Add(24*time.Hour),"oncall")
 far:=newLink(t,c.URL[8:],farDelay)
 b,_:=os.ReadFile(cluster.WriteKubeconfig(t,u)); os.WriteFile("/tmp/scale-bin/kc",b,0o600)
 u.Host="https://"+far.address
 b,_=os.ReadFile(cluster.WriteKubeconfig(t,u)); os.WriteFile("/tmp/scale-bin/kcfar",b,0o600)
 for { if _,err:=os.Stat("/tmp/scale-bin/kc");err!=nil{return}; time.Sleep(time.Second)}
}
