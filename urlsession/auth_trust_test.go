package urlsession_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// trustRows are the answers to a trust question.
var trustRows = []struct {
	name       string
	known      bool // the server's authority
	strict     bool // policy requires TLS of local hosts too
	answer     urlsession.Disposition
	credential func(*urlsession.Challenge) *urlsession.Credential
	code       urlsession.Code // 0: it loads
}{
	{"trusted", true, true, urlsession.PerformDefaultHandling, nil, 0},
	{"trusted, and accepted", true, true, urlsession.UseCredential, vouch, 0},
	{"trusted, answered otherwise", true, true, urlsession.UseCredential, passwordOf, 0},
	{"trusted, and rejected", true, true, urlsession.RejectProtectionSpace, nil, urlsession.ServerCertificateUntrusted},
	{"trusted, and cancelled", true, true, urlsession.CancelAuthenticationChallenge, nil, urlsession.Cancelled},
	{"untrusted", false, false, urlsession.PerformDefaultHandling, nil, urlsession.ServerCertificateUntrusted},
	{"untrusted, and accepted", false, false, urlsession.UseCredential, vouch, 0},
	{"untrusted, and trust in nobody", false, false, urlsession.UseCredential, vouchForNobody, urlsession.ServerCertificateUntrusted},
	{"untrusted, and trust in another", false, false, urlsession.UseCredential, vouchForAnother, urlsession.ServerCertificateUntrusted},
	{"untrusted, answered otherwise", false, false, urlsession.UseCredential, passwordOf, urlsession.ServerCertificateUntrusted},
	{"untrusted, no credential", false, false, urlsession.UseCredential, nil, urlsession.ServerCertificateUntrusted},
	{"untrusted, and rejected", false, false, urlsession.RejectProtectionSpace, nil, urlsession.ServerCertificateUntrusted},
	{"untrusted, accepted against policy", false, true, urlsession.UseCredential, vouch, urlsession.ServerCertificateUntrusted},
}

func vouch(c *urlsession.Challenge) *urlsession.Credential {
	return &urlsession.Credential{Trust: c.TLS}
}

func vouchForNobody(*urlsession.Challenge) *urlsession.Credential {
	return &urlsession.Credential{Trust: &tls.ConnectionState{}}
}

// vouchForAnother gives the trust of another challenge.
func vouchForAnother(c *urlsession.Challenge) *urlsession.Credential {
	other := *c.TLS.PeerCertificates[0]
	other.Raw = []byte("another")

	return &urlsession.Credential{Trust: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{&other}}}
}

func passwordOf(*urlsession.Challenge) *urlsession.Credential {
	return &urlsession.Credential{User: "u", Password: "p"}
}

// Over TCP: where a server that speaks HTTP/3 was refused, TCP is tried for a while.
func TestServerTrust(t *testing.T) {
	leak.Check(t)
	onWires(t, wires, repeatBody, func(t *testing.T, base string) {
		for _, tt := range trustRows {
			if base[:5] == "http:" {
				return // nothing to trust
			}
			var asked []urlsession.Challenge
			s := delegated(t, &urlsession.Delegate{
				DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
					asked = append(asked, *c)

					if tt.credential == nil {
						return tt.answer, nil
					}

					return tt.answer, tt.credential(c)
				},
			}, func(c *urlsession.Configuration) {
				if !tt.known {
					c.RootCAs = x509.NewCertPool()
				}
				if tt.strict {
					c.ATS.AllowsLocalNetworking = ats.No
				}
			})
			for range 2 { // over one connection, where there is one
				data, _, err := s.Data(t.Context(), get(t, base+"/x"))
				if tt.code != 0 {
					wantCode(t, err, tt.code)
				} else if err != nil || string(data) != "/x " {
					t.Errorf("%s: %q, %v", tt.name, data, err)
				}
			}
			if want := map[bool]int{true: 1, false: 2}[tt.code == 0]; len(asked) != want {
				t.Errorf("%s: asked %d times, want %d", tt.name, len(asked), want)
			}
			c := asked[0]
			if c.Space.Method != urlsession.MethodServerTrust || c.Space.Host != "127.0.0.1" || c.Space.Port == 0 || c.Space.Protocol != "https" ||
				(c.Err == nil) != tt.known || c.TLS == nil || len(c.TLS.PeerCertificates) != 1 || (len(c.TLS.VerifiedChains) > 0) != tt.known {
				t.Errorf("%s: %+v", tt.name, c)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A delegate's questions, and what only a chain can tell.
func TestServerTrustFindsWhatTLSFinds(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", repeatBody)
	for _, d := range []*urlsession.Delegate{nil, knowing("u", "p", urlsession.PersistenceNone).delegate()} {
		s := delegated(t, d, func(c *urlsession.Configuration) { c.RootCAs = x509.NewCertPool() })
		_, _, err := s.Data(t.Context(), get(t, base))
		wantCode(t, err, urlsession.ServerCertificateUntrusted)
		var verify *tls.CertificateVerificationError
		if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) != 1 {
			t.Errorf("%v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Handshakes with one peer at once ask once.
func TestServerTrustIsAskedOnce(t *testing.T) {
	leak.Check(t)
	const loads = 5
	var arrived sync.WaitGroup
	arrived.Add(loads)
	base := serve(t, "https http/1.1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived.Done()
		arrived.Wait() // each on a connection of its own
	}))
	var asked atomic.Int32
	s := delegated(t, &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			asked.Add(1)
			<-time.After(200 * time.Millisecond) // the others come meanwhile

			return urlsession.UseCredential, &urlsession.Credential{Trust: c.TLS}
		},
	}, func(c *urlsession.Configuration) { c.RootCAs, c.OmitsHTTP2 = x509.NewCertPool(), true })
	defer s.Close()
	var all sync.WaitGroup
	for range loads {
		all.Go(func() {
			if _, _, err := s.Data(t.Context(), get(t, base)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n >= loads {
		t.Errorf("%d connections asked %d times", loads, n)
	}
}

// clientCertificate makes one, and the authority that a server may know.
func clientCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// wantsCertificate starts a server that tells the name in its client's certificate.
func wantsCertificate(pool *x509.CertPool, http2 bool, version uint16) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.EnableHTTP2 = http2
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{certificate()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: version,
	}
	server.StartTLS()

	return server
}

// certified answers the question for a certificate of an authority.
func certified(t *testing.T, authority *x509.Certificate, asked *int, d urlsession.Disposition, given *urlsession.Credential) *urlsession.Delegate {
	return &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			if c.Space.Method != urlsession.MethodClientCertificate {
				return urlsession.PerformDefaultHandling, nil
			}
			if *asked++; len(c.DistinguishedNames) != 1 || string(c.DistinguishedNames[0]) != string(authority.RawIssuer) {
				t.Errorf("the server's names are %x", c.DistinguishedNames)
			}

			return d, given
		},
	}
}

func TestClientCertificateChallenge(t *testing.T) {
	const nobody = urlsession.Disposition(255)
	leak.Check(t)
	alice, mallory := clientCertificate(t, "alice"), clientCertificate(t, "mallory")
	pool := x509.NewCertPool()
	pool.AddCert(alice.Leaf)
	for _, http2 := range []bool{false, true} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server := wantsCertificate(pool, http2, version)
			for _, tt := range []struct {
				name   string
				own    []tls.Certificate
				answer urlsession.Disposition
				given  *urlsession.Credential
				asked  bool
				code   urlsession.Code // 0: it loads
			}{
				{"given", nil, urlsession.UseCredential, &urlsession.Credential{Certificate: &alice}, true, 0},
				{"the session's", []tls.Certificate{alice}, urlsession.CancelAuthenticationChallenge, nil, false, 0},
				{"default handling", nil, urlsession.PerformDefaultHandling, nil, true, urlsession.ClientCertificateRequired},
				{"rejected", nil, urlsession.RejectProtectionSpace, nil, true, urlsession.ClientCertificateRequired},
				{"a password", nil, urlsession.UseCredential, &urlsession.Credential{User: "u"}, true, urlsession.ClientCertificateRequired},
				{"cancelled", nil, urlsession.CancelAuthenticationChallenge, nil, true, urlsession.Cancelled},
				{"nobody to ask", nil, nobody, nil, false, urlsession.ClientCertificateRequired},
				{"another's", nil, urlsession.UseCredential, &urlsession.Credential{Certificate: &mallory}, true, urlsession.ClientCertificateRejected},
			} {
				asked := 0
				var d *urlsession.Delegate
				if tt.answer != nobody {
					d = certified(t, alice.Leaf, &asked, tt.answer, tt.given)
				}
				s := delegated(t, d, func(c *urlsession.Configuration) { c.Certificates = tt.own })
				data, _, err := s.Data(t.Context(), get(t, server.URL))
				switch {
				case tt.code == urlsession.ClientCertificateRejected && version == tls.VersionTLS13 && err != nil:
					// The end of the connection may be noticed before the alert.
				case tt.code != 0:
					wantCode(t, err, tt.code)
				case err != nil || string(data) != "alice":
					t.Errorf("%s: %q, %v", tt.name, data, err)
				}
				// A connection that the server ended at once may be made anew.
				if cerr := s.Close(); cerr != nil || asked > 0 != tt.asked || tt.code == 0 && asked > 1 {
					t.Errorf("%s: asked %d times, %v", tt.name, asked, cerr)
				}
			}
			server.Close()
		}
	}
}
