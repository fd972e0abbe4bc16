package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxAliases bounds a chain of CNAME records, and of aliases of HTTPS records.
	maxAliases = 8
	// maxRecords bounds what is taken of one answer.
	maxRecords = 64
	// maxAnswerTTL bounds what an answer says of how long it holds, and
	// maxNegativeTTL what one says that there is nothing.
	maxAnswerTTL   = 24 * time.Hour
	maxNegativeTTL = 30 * time.Second
)

// question gives a message that asks for the records of a name (RFC 1035 §4.1). Its
// ID is 0, so that equal questions are equal messages (RFC 8484 §4.1). By the AD
// bit it asks to be told whether the answer validates (RFC 6840 §5.7).
func question(name dnsmessage.Name, kind dnsmessage.Type) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 0, 64), dnsmessage.Header{RecursionDesired: true, AuthenticData: true})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}); err != nil {
		return nil, err
	}

	return b.Finish()
}

// answer is what a message says to a question.
type answer struct {
	code      dnsmessage.RCode
	addrs     []netip.Addr
	records   []HTTPSRecord
	alias     string        // of an HTTPS record; "": none
	ttl       time.Duration // how long it holds
	validated bool          // by DNSSEC, says the server
}

// empty tells that the name has no records of the kind.
func (a *answer) empty() bool { return len(a.addrs) == 0 && len(a.records) == 0 && a.alias == "" }

// parseAnswer reads the answer to a question.
func parseAnswer(message []byte, name dnsmessage.Name, kind dnsmessage.Type) (answer, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	switch {
	case err != nil:
		return answer{}, err
	case !header.Response:
		return answer{}, errors.New("the message is no answer")
	case header.Truncated:
		return answer{}, errors.New("the answer is cut short")
	}
	asked, err := p.Question()
	if err != nil || p.SkipQuestion() != dnsmessage.ErrSectionDone || //nolint:errorlint // it is returned bare
		asked.Type != kind || asked.Class != dnsmessage.ClassINET || !strings.EqualFold(asked.Name.String(), name.String()) {
		return answer{}, errors.New("the answer is one to another question")
	}
	a := answer{code: header.RCode, validated: header.AuthenticData, ttl: maxAnswerTTL}
	found, err := readRecords(&p, kind)
	if err != nil {
		return answer{}, err
	}
	owner := strings.ToLower(name.String())
	for range maxAliases {
		alias, ok := found.aliases[owner]
		if !ok {
			break
		}
		owner = alias.target
		a.ttl = min(a.ttl, alias.ttl)
	}
	for _, r := range found.records {
		if r.owner == owner {
			if err := a.add(r); err != nil {
				return answer{}, err
			}
		}
	}
	if a.empty() {
		a.ttl = min(found.negative, maxNegativeTTL)
	}

	return a, nil
}

// found are the records of a message.
type found struct {
	aliases  map[string]canonicalName
	records  []record
	negative time.Duration // how long the absence of any holds (RFC 2308 §5)
}

type canonicalName struct {
	target string
	ttl    time.Duration
}

type record struct {
	owner string
	ttl   time.Duration
	body  dnsmessage.ResourceBody
}

// readRecords reads the answer section, and the SOA record of the authority section.
func readRecords(p *dnsmessage.Parser, kind dnsmessage.Type) (found, error) {
	f := found{aliases: make(map[string]canonicalName)}
	for {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone { //nolint:errorlint // it is returned bare
			break
		}
		if err != nil {
			return f, err
		}
		if h.Class != dnsmessage.ClassINET || h.Type != kind && h.Type != dnsmessage.TypeCNAME || len(f.records)+len(f.aliases) >= maxRecords {
			err = p.SkipAnswer()
		} else {
			err = f.read(p, h)
		}
		if err != nil {
			return f, err
		}
	}
	for {
		h, err := p.AuthorityHeader()
		if err != nil {
			return f, nil //nolint:nilerr // only how long nothing holds is lost
		}
		if h.Type != dnsmessage.TypeSOA {
			err = p.SkipAuthority()
		} else if soa, soaErr := p.SOAResource(); soaErr == nil {
			f.negative = time.Duration(min(soa.MinTTL, h.TTL)) * time.Second
		} else {
			err = soaErr
		}
		if err != nil {
			return f, nil //nolint:nilerr // the same
		}
	}
}

func (f *found) read(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) error {
	owner, ttl := strings.ToLower(h.Name.String()), time.Duration(h.TTL)*time.Second
	if h.Type == dnsmessage.TypeCNAME {
		r, err := p.CNAMEResource()
		if err == nil {
			f.aliases[owner] = canonicalName{strings.ToLower(r.CNAME.String()), ttl}
		}

		return err
	}
	r, err := p.Answer()
	if err == nil {
		f.records = append(f.records, record{owner, ttl, r.Body})
	}

	return err
}

// add takes a record in.
func (a *answer) add(r record) error {
	switch body := r.body.(type) {
	case *dnsmessage.AResource:
		a.addrs = append(a.addrs, netip.AddrFrom4(body.A))
	case *dnsmessage.AAAAResource:
		a.addrs = append(a.addrs, netip.AddrFrom16(body.AAAA))
	case *dnsmessage.HTTPSResource:
		if body.Priority == 0 { // AliasMode (RFC 9460 §2.4.2)
			a.alias = body.Target.String()

			break
		}
		made, known, err := newHTTPSRecord(&body.SVCBResource)
		if err != nil {
			return fmt.Errorf("an HTTPS record is malformed: %w", err)
		}
		if known {
			made.TTL = min(r.ttl, maxAnswerTTL)
			a.records = append(a.records, made)
		}
	}
	a.ttl = min(a.ttl, r.ttl)

	return nil
}
