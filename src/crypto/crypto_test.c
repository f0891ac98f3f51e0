#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "crypto/secret.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static void expect_hex(const unsigned char *got, const char *want)
{
    char text[DIGEST_HEX_SIZE];
    hex_put(got, DIGEST_SIZE, text);
    test_ok(strcmp(text, want) == 0, "got %s", text);
}

static void test_digests(void **state)
{
    (void)state;
    unsigned char out[DIGEST_SIZE];
    struct err err;
    test_ok(crypto_check(&err) == ERR_OK, "the library has all we need");
    digest(DIGEST_SM3, STR("abc"), out); /* GB/T 32905-2016, A.1 */
    expect_hex(out, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    digest(DIGEST_SHA256, STR("abc"), out); /* FIPS 180-4 */
    expect_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hmac(DIGEST_SHA256, STR("Jefe"), STR("what do ya want for nothing?"), out); /* RFC 4231, 4.3 */
    expect_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    struct digester *digester = digester_new(DIGEST_SM3);
    digester_add(digester, "a", 1);
    digester_add(digester, "bc", 2);
    digester_end(digester, out);
    expect_hex(out, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
}

static void test_texts(void **state)
{
    (void)state;
    unsigned char bytes[64] = { 0 }, back[64];
    char text[100];
    for (size_t len = 0; len <= 40; len++) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)(i * 37 + len * 11);
        const size_t made = base64_put(bytes, len, text);
        test_ok(base64_get((struct str) { text, made }, back, sizeof back) == (ptrdiff_t)len &&
                    memcmp(bytes, back, len) == 0,
                "base64 of %zu", len);
        hex_put(bytes, len, text);
        test_ok(hex_get(str_from(text), back, len) && memcmp(bytes, back, len) == 0, "hex of %zu", len);
    }
    test_ok(base64_get(STR("A"), back, 64) == -1 && base64_get(STR("A+=="), back, 64) == -1 &&
                base64_get(STR("AB"), back, 64) == -1 && base64_get(STR("AAAA"), back, 2) == -1,
            "refused");
    test_ok(!hex_get(STR("0g"), back, 1) && !hex_get(STR("000"), back, 1), "no hex");
}

static void test_passwords(void **state)
{
    (void)state;
    const struct password_cost cheap = { 64, 1 };
    char hash[PASSWORD_HASH_SIZE], once[PASSWORD_ONCE_SIZE], token[TOKEN_SIZE], token2[TOKEN_SIZE];
    struct err err;
    test_ok(password_hash(STR("密码 pass"), &cheap, hash, &err) == ERR_OK, "hashes");
    test_ok(password_verify(STR("密码 pass"), str_from(hash), &err) == ERR_OK, "right");
    test_ok(password_verify(STR("密码 pasS"), str_from(hash), &err) == ERR_NO_LOGIN, "wrong");
    test_ok(password_verify(STR(""), str_from(hash), &err) == ERR_NO_LOGIN, "empty");
    test_ok(password_verify(STR("x"), STR("$argon2id$v=19$m=64"), &err) == ERR_CORRUPT, "cut");
    test_ok(password_is_old(str_from(hash), &PASSWORD_COST) && !password_is_old(str_from(hash), &cheap),
            "costs");
    static char big[PASSWORD_BYTES_MAX + 2];
    memset(big, 'x', sizeof big - 1);
    test_ok(password_hash(str_from(big), &cheap, hash, &err) == ERR_LIMIT, "too long");
    test_ok(password_once(once, &err) == ERR_OK && strlen(once) == 19 && once[4] == '-', "once: %s", once);
    test_ok(token_make(token, &err) == ERR_OK && token_make(token2, &err) == ERR_OK && strlen(token) == 43 &&
                strcmp(token, token2) != 0,
            "tokens");
}

static void test_totp(void **state)
{
    (void)state;
    const unsigned char *secret = (const unsigned char *)"12345678901234567890"; /* RFC 6238, appendix B */
    static const struct {
        int64_t second;
        const char *code;
    } cases[] = {
        { 59, "287082" }, { 1111111109, "081804" }, { 1234567890, "005924" }, { 20000000000, "353130" }
    };
    char code[7], text[33];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t now = cases[i].second * 1000, step = now / TOTP_PERIOD_MS;
        totp_code(secret, step, code);
        test_ok(strcmp(code, cases[i].code) == 0, "got %s", code);
        test_ok(totp_check(secret, str_from(code), now + 30000, -1) == step, "one step late");
        test_ok(totp_check(secret, str_from(code), now + 60000, -1) == -1, "two steps late");
        test_ok(totp_check(secret, str_from(code), now, step) == -1, "used already");
    }
    totp_text(secret, text);
    test_ok(strcmp(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") == 0, "got %s", text);
}

static char folder[64], path[96];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/keyring-test-XXXXXX");
    test_ok(mkdtemp(folder) != NULL, "folder");
    (void)snprintf(path, sizeof path, "%s/keys/master", folder);
}

static void remove_folder(void)
{
    char keys[80];
    (void)snprintf(keys, sizeof keys, "%s/keys", folder);
    (void)unlink(path);
    (void)rmdir(keys);
    (void)rmdir(folder);
}

static void test_sealing(void **state)
{
    (void)state;
    make_folder();
    struct err err;
    struct key_ring *ring = NULL, *newer = NULL, *other = NULL;
    struct buf sealed, plain;
    buf_init(&sealed, 1 << 16);
    buf_init(&plain, 1 << 16);
    test_ok(key_ring_open(path, false, &ring, &err) == ERR_NOT_FOUND, "not there");
    test_ok(key_ring_open(path, true, &ring, &err) == ERR_OK, "made: %s", err.id);
    test_ok(seal(ring, STR("a.b:1"), STR("13800000000"), &sealed, &err) == ERR_OK, "seals");
    test_ok(sealed_key(buf_get(&sealed)) == 1 && str_find(buf_get(&sealed), STR("138")) < 0, "hidden");
    test_ok(unseal(ring, STR("a.b:1"), buf_get(&sealed), &plain, &err) == ERR_OK &&
                str_eq(buf_get(&plain), STR("13800000000")),
            "opens");
    buf_clear(&plain);
    test_ok(unseal(ring, STR("a.b:2"), buf_get(&sealed), &plain, &err) == ERR_CORRUPT && plain.len == 0,
            "other context");
    for (size_t i = 0; i < sealed.len; i++) { /* no change of any character goes unnoticed */
        const char was = sealed.ptr[i];
        sealed.ptr[i] = was == 'A' ? 'B' : 'A';
        test_ok(unseal(ring, STR("a.b:1"), buf_get(&sealed), &plain, &err) != ERR_OK && plain.len == 0,
                "at %zu", i);
        sealed.ptr[i] = was;
    }
    test_ok(key_ring_rotate(path, &err) == ERR_OK && key_ring_open(path, false, &newer, &err) == ERR_OK,
            "rotates");
    test_ok(key_ring_newest(newer) == 2, "a second key");
    test_ok(unseal(newer, STR("a.b:1"), buf_get(&sealed), &plain, &err) == ERR_OK, "old texts open");
    buf_clear(&sealed);
    test_ok(seal(newer, STR(""), STR(""), &sealed, &err) == ERR_OK, "seals the empty text");
    buf_clear(&plain);
    test_ok(unseal(newer, STR(""), buf_get(&sealed), &plain, &err) == ERR_OK && plain.len == 0,
            "and opens it");
    test_ok(key_ring_newest(ring) == 1 && unseal(ring, STR(""), buf_get(&sealed), &plain, &err) == ERR_OK &&
                key_ring_newest(ring) == 2,
            "a ring in use looks for a newer key that it meets");
    test_ok(unseal(ring, STR(""), STR("s1.9.AAAA"), &plain, &err) == ERR_NOT_FOUND, "key missing");
    unsigned char one[32], two[32];
    key_ring_blind(ring, STR("x"), STR("13800000000"), one);
    key_ring_blind(newer, STR("x"), STR("13800000000"), two);
    test_ok(memcmp(one, two, 32) == 0, "blind index outlives rotation");
    /* a ring in use takes the new key in */
    struct reseal_counts counts = { 0 };
    test_ok(key_ring_rotate(path, &err) == ERR_OK && key_ring_reload(ring, &err) == ERR_OK &&
                key_ring_newest(ring) == 3,
            "reloads");
    test_ok(key_ring_grow(ring, &err) == ERR_OK && key_ring_newest(ring) == 4 && key_ring_newest(newer) == 2,
            "grows");
    buf_clear(&plain);
    test_ok(reseal(ring, STR(""), buf_get(&sealed), &plain, &counts, &err) == ERR_OK &&
                sealed_key(buf_get(&plain)) == 4,
            "seals anew");
    buf_clear(&sealed);
    test_ok(unlink(path) == 0 && key_ring_open(path, true, &other, &err) == ERR_OK, "another file");
    test_ok(key_ring_reload(ring, &err) == ERR_CONFLICT && key_ring_newest(ring) == 4, "is not taken for it");
    test_ok(reseal(newer, STR("a"), buf_get(&plain), &sealed, &counts, &err) == ERR_OK && !sealed.len &&
                counts.missing == 1 && counts.broken == 0 && strcmp(counts.first, "a") == 0,
            "counts what it has no key for");
    test_ok(reseal(ring, STR("b"), buf_get(&plain), &sealed, &counts, &err) == ERR_OK && !sealed.len &&
                counts.missing == 1 && counts.broken == 1 && strcmp(counts.first, "a") == 0,
            "and what is of another place");
    key_ring_free(other);
    test_ok(chmod(path, 0644) == 0, "chmod");
    key_ring_free(ring);
    ring = NULL;
    test_ok(key_ring_open(path, false, &ring, &err) == ERR_FORBIDDEN && !ring, "readable by others");
    key_ring_free(newer);
    buf_done(&sealed);
    buf_done(&plain);
    remove_folder();
}

static void test_bad_files(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "bihuan-keys 1\n", "bihuan-keys 1\n1 zz\n", "bihuan-keys 2\n",
        "bihuan-keys 1\n0 0000000000000000000000000000000000000000000000000000000000000000\n"
    };
    make_folder();
    char keys[80];
    (void)snprintf(keys, sizeof keys, "%s/keys", folder);
    test_ok(mkdir(keys, 0700) == 0, "folder");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FILE *file = fopen(path, "w");
        test_ok(file && fputs(texts[i], file) >= 0 && fclose(file) == 0 && chmod(path, 0600) == 0, "written");
        struct key_ring *ring = NULL;
        struct err err;
        test_ok(key_ring_open(path, true, &ring, &err) == ERR_CORRUPT && !ring && err.at.line > 0, "case %zu",
                i);
    }
    remove_folder();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    make_folder();
    for (long nth = 0;; nth++) {
        const long before = mem_live();
        struct err err;
        struct key_ring *ring = NULL;
        struct buf out;
        buf_init(&out, 1 << 16);
        mem_fail_at(nth);
        enum err_code rc = key_ring_open(path, true, &ring, &err);
        if (!rc)
            rc = seal(ring, STR("c"), STR("text"), &out, &err);
        struct buf back;
        buf_init(&back, 1 << 16);
        if (!rc)
            rc = unseal(ring, STR("c"), buf_get(&out), &back, &err);
        mem_fail_at(-1);
        buf_done(&out);
        buf_done(&back);
        key_ring_free(ring);
        test_ok(mem_live() == before && (rc == ERR_OK || rc == ERR_NOMEM), "at %ld: %d", nth, rc);
        if (!rc)
            break;
    }
    remove_folder();
}

TEST_MAIN(TEST(test_digests), TEST(test_texts), TEST(test_passwords), TEST(test_totp), TEST(test_sealing),
          TEST(test_bad_files), TEST(test_out_of_memory))
