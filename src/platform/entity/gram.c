/* gram.c - see gram.h */
#include "platform/entity/gram.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

#define NORMAL_MAX (4u << 20)
#define RUN_MAX 64 /* code points; a longer word is cut into several runs, in texts and queries alike */

enum run { RUN_NONE, RUN_CHINESE, RUN_WORD };

static enum run run_of(int32_t c)
{
    if (c < 128)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? RUN_WORD
                                                                                          : RUN_NONE;
    if (c >= 0x4e00 && c <= 0x9fff)
        return RUN_CHINESE;
    if (c == 0xe000)
        return RUN_WORD;
    UErrorCode status = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(c, &status);
    if (script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ||
        script == USCRIPT_HANGUL)
        return u_isalpha(c) || c == 0x3007 || u_hasBinaryProperty(c, UCHAR_IDEOGRAPHIC) ? RUN_CHINESE
                                                                                        : RUN_NONE;
    return u_isalnum(c) || (U_GET_GC_MASK(c) & U_GC_M_MASK) ? RUN_WORD : RUN_NONE;
}

static bool plain_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* Code points of already folded text, in runs. */
static void add_runs(struct str folded, struct buf *out)
{
    enum run last = RUN_NONE;
    bool apart = out->len > 0; /* a blank is owed before the next run */
    int length = 0;            /* of the run so far */
    for (size_t at = 0; at < folded.len;) {
        const size_t from = at;
        const int32_t c = utf8_next(folded, &at);
        if (c < 0)
            break;
        const enum run run = run_of(c);
        if (run != RUN_NONE) {
            const bool begins = apart || (last != RUN_NONE && (run != last || c == 0xe000)) ||
                                (run == RUN_WORD && length == RUN_MAX);
            if (begins)
                buf_char(out, ' ');
            length = begins ? 1 : length + 1;
            apart = c == 0xe000;
            buf_add(out, folded.ptr + from, at - from);
        } else if (last != RUN_NONE) {
            apart = true;
        }
        last = run;
    }
}

enum err_code gram_normal(struct str text, struct buf *out, struct err *err)
{
    if (!text.len)
        return ERR_OK;
    if (text.len > NORMAL_MAX)
        return err_set(err, ERR_LIMIT, "base.too_long", ARG_INT("max", NORMAL_MAX), ARG_END);
    if (plain_ascii(text)) { /* the common case needs no ICU */
        char *lower = mem_alloc(text.len, 1);
        if (!lower)
            return err_nomem(err);
        for (size_t i = 0; i < text.len; i++) {
            const char c = text.ptr[i];
            lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        add_runs((struct str) { lower, text.len }, out);
        mem_free(lower);
        return buf_check(out, err);
    }
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&status);
    const int32_t wide_max = (int32_t)text.len + 1;
    const int32_t folded_max =
        wide_max * 3 + 32; /* the longest NFKC expansion of UTF-16 is 18, checked below */
    UChar *wide = mem_alloc((size_t)wide_max + (size_t)folded_max, sizeof *wide);
    char *utf8 = wide ? mem_alloc((size_t)folded_max * 3 + 1, 1) : NULL;
    enum err_code rc = ERR_OK;
    if (!utf8) {
        rc = err_nomem(err);
    } else {
        int32_t wide_len = 0, folded_len = 0, utf8_size = 0;
        UChar *folded = wide + wide_max;
        u_strFromUTF8WithSub(wide, wide_max, &wide_len, text.ptr, (int32_t)text.len, 0xfffd, NULL, &status);
        folded_len = unorm2_normalize(fold, wide, wide_len, folded, folded_max, &status);
        u_strToUTF8(utf8, folded_max * 3 + 1, &utf8_size, folded, folded_len, &status);
        if (U_FAILURE(status))
            rc = err_set(err, ERR_LIMIT, "entity.search_text", ARG_END);
        else
            add_runs((struct str) { utf8, (size_t)utf8_size }, out);
    }
    mem_free(utf8);
    mem_free(wide);
    return rc ? rc : buf_check(out, err);
}

static size_t char_len(struct str text, size_t at)
{
    size_t next = at;
    return utf8_next(text, &next) < 0 ? text.len - at : next - at;
}

static bool is_chinese(struct str run)
{
    size_t at = 0;
    const int32_t c = utf8_next(run, &at);
    return c >= 0 && run_of(c) == RUN_CHINESE;
}

/* The grams of one run.  An open Chinese run goes on in the text, so its last character says nothing. */
static void add_grams(struct str run, bool open, struct buf *out)
{
    if (out->len)
        buf_char(out, ' ');
    if (!is_chinese(run)) {
        buf_str(out, run);
        return;
    }
    size_t at = 0, first = char_len(run, 0);
    bool any = false;
    while (at + first < run.len) {
        const size_t second = char_len(run, at + first);
        if (any)
            buf_char(out, ' ');
        buf_add(out, run.ptr + at, first + second);
        any = true;
        at += first;
        first = second;
    }
    if (open && any)
        return;
    if (any)
        buf_char(out, ' ');
    buf_add(out, run.ptr + at, first);
}

void gram_text(struct str normal, struct buf *out)
{
    struct str rest = normal, run;
    while (rest.len && str_cut(&rest, ' ', &run))
        if (run.len)
            add_grams(run, false, out);
}

static enum err_code read_word(struct str text, struct arena *arena, struct gram_query *query,
                               struct err *err)
{
    struct buf normal, grams;
    buf_init(&normal, 8 * GRAM_QUERY_MAX * 4);
    buf_init(&grams, 32 * GRAM_QUERY_MAX * 4);
    enum err_code rc = gram_normal(text, &normal, err);
    if (!rc && normal.len) {
        struct gram_word word = { 0 };
        const struct str whole = buf_get(&normal);
        struct str rest = whole, run;
        word.at_run = !is_chinese(whole);
        while (rest.len && str_cut(&rest, ' ', &run)) {
            const bool last = rest.len == 0;
            add_grams(run, last, &grams);
            /* 故 must find 故障 too; 网络故 is the pairs 网络 络故, which are whole */
            if (last)
                word.prefix = !is_chinese(run) || char_len(run, 0) == run.len;
        }
        rc = buf_check(&grams, err);
        if (!rc) {
            word.normal = arena_str(arena, whole);
            word.grams = arena_str(arena, buf_get(&grams));
            if (!word.normal.ptr || !word.grams.ptr)
                rc = err_nomem(err);
            else if (query->count == GRAM_WORDS_MAX)
                rc = err_set(err, ERR_LIMIT, "entity.search_too_long", ARG_INT("max", GRAM_WORDS_MAX),
                             ARG_END);
            else
                query->words[query->count++] = word;
        }
    }
    buf_done(&grams);
    buf_done(&normal);
    return rc;
}

enum err_code gram_query(struct str text, struct arena *arena, struct gram_query *out, struct err *err)
{
    if (text.len > GRAM_QUERY_MAX)
        return err_set(err, ERR_LIMIT, "entity.search_too_long", ARG_INT("max", GRAM_QUERY_MAX), ARG_END);
    struct gram_query query = { .count = 0 };
    size_t from = 0;
    for (size_t at = 0; at <= text.len;) {
        const size_t here = at;
        const int32_t c = at < text.len ? utf8_next(text, &at) : -1;
        if (c < 0 || u_isUWhiteSpace(c)) {
            if (here > from) {
                const enum err_code rc = read_word(str_slice(text, from, here), arena, &query, err);
                if (rc)
                    return rc;
            }
            if (c < 0)
                break;
            from = at;
        }
    }
    *out = query;
    return ERR_OK;
}

void gram_fts5(const struct gram_query *query, struct buf *out)
{
    for (int i = 0; i < query->count; i++) {
        const struct gram_word *word = &query->words[i];
        if (i)
            buf_text(out, " AND ");
        buf_char(out, '"');
        buf_str(out, word->grams); /* letters, digits and blanks only */
        buf_text(out, word->prefix ? "\" *" : "\"");
    }
}

void gram_tsquery(const struct gram_query *query, struct buf *out)
{
    bool any = false;
    for (int i = 0; i < query->count; i++) {
        const struct gram_word *word = &query->words[i];
        struct str rest = word->grams, gram;
        while (rest.len && str_cut(&rest, ' ', &gram)) {
            if (any)
                buf_text(out, " & ");
            buf_char(out, '\'');
            buf_str(out, gram);
            buf_text(out, !rest.len && word->prefix ? "':*" : "'");
            any = true;
        }
    }
}

/* True when `word` stands in `normal`; both are runs separated by single blanks. */
static bool word_found(const struct gram_word *word, struct str normal)
{
    size_t from = 0;
    while (from + word->normal.len <= normal.len) {
        const ptrdiff_t at = str_find(str_slice(normal, from, normal.len), word->normal);
        if (at < 0)
            return false;
        const size_t here = from + (size_t)at;
        if (!word->at_run || here == 0 || normal.ptr[here - 1] == ' ')
            return true;
        from = here + 1;
    }
    return false;
}

bool gram_found(const struct gram_query *query, struct str normal)
{
    for (int i = 0; i < query->count; i++)
        if (!word_found(&query->words[i], normal))
            return false;
    return query->count > 0;
}
