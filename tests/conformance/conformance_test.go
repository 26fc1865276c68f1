// Our formats against other implementations: golang.org/x/mod/sumdb and transparency-dev.
//
// vectors/ is made by them (go test -update) and reproduced byte for byte by the C++ unit tests;
// here it is made again and compared, and what only our code makes (the worked example of
// ledger/FORMAT.md) is verified by theirs.
package conformance

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	cosign "github.com/transparency-dev/formats/note"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "write vectors/ anew")

const origin = "example.org/log"

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The signed-note keys of the Ed25519 seed of 32 equal bytes.
func keys(t *testing.T, name string, fill byte) (skey, vkey string) {
	t.Helper()
	seed := bytes.Repeat([]byte{fill}, 32)
	vkey, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	check(t, err)
	id := strings.Split(vkey, "+")[1]
	data := base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, id, data), vkey
}

// A tree whose entry i is the decimal number i.
type tree struct{ hashes []tlog.Hash }

func newTree(t *testing.T, size int64) *tree {
	t.Helper()
	made := &tree{}
	for i := int64(0); i < size; i++ {
		more, err := tlog.StoredHashes(i, []byte(fmt.Sprint(i)), made)
		check(t, err)
		made.hashes = append(made.hashes, more...)
	}
	return made
}

func (tr *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, tr.hashes[i])
	}
	return out, nil
}

func line(what string, a, b int64, hashes []tlog.Hash) string {
	out := fmt.Sprintf("%s %d %d", what, a, b)
	for _, h := range hashes {
		out += fmt.Sprintf(" %x", h[:])
	}
	return out + "\n"
}

// Roots and proofs of some sizes; checked by transparency-dev's verifier on the way.
func proofs(t *testing.T) string {
	tr := newTree(t, 300)
	out := ""
	raw := func(hashes []tlog.Hash) (list [][]byte) {
		for _, h := range hashes {
			list = append(list, bytes.Clone(h[:]))
		}
		return list
	}
	for _, n := range []int64{1, 2, 3, 4, 5, 6, 7, 8, 11, 64, 300} {
		root, err := tlog.TreeHash(n, tr)
		check(t, err)
		out += line("root", 0, n, []tlog.Hash{root})
		for m := int64(0); m < n; m += 1 + n/9 {
			path, err := tlog.ProveRecord(n, m, tr)
			check(t, err)
			leaf := tlog.RecordHash([]byte(fmt.Sprint(m)))
			check(t, proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(m), uint64(n), leaf[:], raw(path), root[:]))
			out += line("inclusion", m, n, path)
			if m == 0 {
				continue
			}
			old, err := tlog.TreeHash(m, tr)
			check(t, err)
			consistency, err := tlog.ProveTree(n, m, tr)
			check(t, err)
			check(t, proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(m), uint64(n), raw(consistency), old[:], root[:]))
			out += line("consistency", m, n, consistency)
		}
	}
	return out
}

func compare(t *testing.T, name, made string) {
	t.Helper()
	path := "vectors/" + name
	if *update {
		check(t, os.WriteFile(path, []byte(made), 0o644))
	}
	committed, err := os.ReadFile(path)
	check(t, err)
	if string(committed) != made {
		t.Fatalf("%s differs from what the reference makes", path)
	}
}

func checkpoint(t *testing.T) string {
	root, err := tlog.TreeHash(300, newTree(t, 300))
	check(t, err)
	return string(log.Checkpoint{Origin: origin, Size: 300, Hash: root[:]}.Marshal())
}

func TestVectors(t *testing.T) {
	skey, vkey := keys(t, origin, 1)
	signer, err := note.NewSigner(skey)
	check(t, err)
	signed, err := note.Sign(&note.Note{Text: checkpoint(t)}, signer)
	check(t, err)
	compare(t, "proofs.txt", proofs(t))
	compare(t, "vkey.txt", vkey+"\n")
	compare(t, "checkpoint.txt", string(signed))
}

// A cosignature carries its time, so this one is made once and verified ever after.
func TestCosigned(t *testing.T) {
	skey, vkey := keys(t, origin, 1)
	witnessSkey, witnessVkey := keys(t, "witness.example.org", 2)
	const path = "vectors/cosigned.txt"
	if *update {
		signer, err := note.NewSigner(skey)
		check(t, err)
		witness, err := cosign.NewSignerForCosignatureV1(witnessSkey)
		check(t, err)
		signed, err := note.Sign(&note.Note{Text: checkpoint(t)}, signer, witness)
		check(t, err)
		check(t, os.WriteFile(path, signed, 0o644))
	}
	signed, err := os.ReadFile(path)
	check(t, err)
	verifier, err := note.NewVerifier(vkey)
	check(t, err)
	witness, err := cosign.NewVerifierForCosignatureV1(witnessVkey)
	check(t, err)
	_, _, opened, err := log.ParseCheckpoint(signed, origin, verifier, witness)
	check(t, err)
	if len(opened.Sigs) != 2 {
		t.Fatalf("%d signatures verified, not 2", len(opened.Sigs))
	}
}

// What the C++ code alone makes: the receipt of ledger/FORMAT.md.
func TestFormatExample(t *testing.T) {
	page, err := os.ReadFile("../../ledger/FORMAT.md")
	check(t, err)
	block := func(name string) string {
		found := regexp.MustCompile("(?s)```text " + name + "\n(.*?)```").FindSubmatch(page)
		if found == nil {
			t.Fatalf("no block %q", name)
		}
		return string(found[1])
	}
	vkey := strings.TrimSpace(block("vkey"))
	verifier, err := note.NewVerifier(vkey)
	check(t, err)
	var receipt tlogproof.TLogProof
	check(t, receipt.Unmarshal([]byte(block("receipt 1"))))
	if string(receipt.Checkpoint) != block("checkpoint") {
		t.Fatal("the receipt's checkpoint is not the example's")
	}
	head, _, _, err := log.ParseCheckpoint(receipt.Checkpoint, strings.Split(vkey, "+")[0], verifier)
	check(t, err)
	var path [][]byte
	for i := range receipt.Hashes {
		path = append(path, receipt.Hashes[i][:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(receipt.ExtraData)
	check(t, proof.VerifyInclusion(rfc6962.DefaultHasher, receipt.Index, head.Size, leaf, path, head.Hash))
	if !bytes.Equal(receipt.Marshal(), []byte(block("receipt 1"))) {
		t.Fatal("the receipt is not what the reference writes")
	}
}
