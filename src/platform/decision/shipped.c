/* shipped.c - the decision models that packs bring along. */
#include "platform/decision/decision_sql.h"
#include "platform/decision/internal.h"

#include <stdio.h>

struct taking {
    struct decisions *decisions;
    struct str code, title, model;
    int64_t id;
    bool there, same;
};

static enum err_code look_fn(struct tx *tx, void *arg, struct err *err)
{
    struct taking *taking = arg;
    AUTO(stmt_free_auto) struct stmt *by_code = NULL;
    AUTO(stmt_free_auto) struct stmt *same = NULL;
    bool row = false;
    enum err_code rc = tx_query(tx, SQL_DECISION_BY_CODE, BINDS(bind_text(taking->code)), &by_code, err);
    if (rc)
        return rc;
    rc = stmt_step(by_code, &taking->there, err);
    if (rc || !taking->there)
        return rc;
    taking->id = stmt_i64(by_code, 0);
    rc = tx_prepare(tx, SQL_VERSION_SAME, &same, err);
    if (rc)
        return rc;
    stmt_bind_text(same, 1, taking->code);
    stmt_bind_text(same, 2, taking->model);
    rc = stmt_step(same, &row, err);
    taking->same = rc == ERR_OK && row && stmt_i64(same, 0) > 0;
    return rc;
}

/* A newer model becomes a draft, unless somebody works on one. */
static enum err_code offer(struct taking *taking, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)64 << 20);
    struct decision_row row;
    struct decision_version_row *versions;
    int64_t number, version;
    int count;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = decision_read(taking->decisions, arena, taking->id, &row, &versions, &count, err);
    for (int i = 0; i < count && rc == ERR_OK; i++)
        if (versions[i].state == DECISION_DRAFT || versions[i].state == DECISION_TESTED)
            return ERR_OK;
    if (rc == ERR_OK && count > 0)
        rc = decision_draft(taking->decisions, NULL, taking->id, versions[count - 1].number, &number, err);
    if (rc == ERR_OK && count > 0)
        rc = decision_save(taking->decisions, NULL, taking->id, number, -1, taking->model, STR(""), &version,
                           err);
    return rc;
}

static enum err_code check_model(const struct imports *imports, struct str *out_title, struct arena *arena,
                                 struct err *err)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    const enum err_code rc = decision_load(imports, &model, &why, err);
    if (rc)
        return rc;
    for (int i = 0; model && i < dmn_findings(model)->count && !why.code; i++)
        if (dmn_findings(model)->items[i].is_error)
            why = dmn_findings(model)->items[i].err;
    if (why.code) {
        if (err)
            *err = why;
        return why.code;
    }
    *out_title = arena_str(arena, dmn_model_file(model, 0)->name);
    return out_title->ptr ? ERR_OK : err_nomem(err);
}

/* *out_later: it imports what is not published yet. */
static enum err_code take(struct decisions *decisions, struct arena *arena, struct str code, struct str model,
                          bool *out_later, struct err *err)
{
    struct taking taking = { .decisions = decisions, .code = code, .model = model };
    struct imports imports;
    enum err_code rc = store_read(decisions->config.store, look_fn, &taking, err);
    if (rc || taking.same)
        return rc;
    const struct decision_version_row draft = { .state = DECISION_DRAFT, .model = model };
    rc = imports_of_version(decisions, arena, &draft, &imports, err);
    if (rc == ERR_OK)
        rc = check_model(&imports, &taking.title, arena, err);
    *out_later = rc == ERR_INVALID && strcmp(err->id, "dmn.no_import") == 0;
    if (rc)
        return rc;
    if (taking.there)
        return offer(&taking, err);
    return decision_ship(decisions, code, taking.title.len > 0 ? taking.title : code, &imports, &taking.id,
                         err);
}

struct round {
    int taken, later; /* of this round */
    struct err why;   /* of the first that has to wait */
};

static enum err_code take_file(struct decisions *decisions, const struct pack *pack,
                               const struct pack_file *file, struct round *round, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(DMN_MODEL_BYTES_MAX);
    bool later = false;
    struct err why = { 0 };
    const struct str code = arena_printf(arena, "%.*s.%.*s", STR_ARG(pack->name), STR_ARG(file->name));
    if (!code.ptr)
        return err_nomem(err);
    const enum err_code rc = take(decisions, arena, code, file->text, &later, &why);
    if (!rc) {
        round->taken++;
        return ERR_OK;
    }
    (void)err_pointer(&why, code);
    (void)err_in(&why, "decision.pack");
    if (later && round->later++ == 0)
        round->why = why;
    if (!later && err)
        *err = why;
    return later ? ERR_OK : rc;
}

static enum err_code take_round(struct decisions *decisions, const struct packs *packs, struct round *round,
                                struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < packs_count(packs); i++) {
        const struct pack *pack = packs_at(packs, i);
        for (int j = 0; j < pack->files_count && !rc; j++) {
            const struct pack_file *file = &pack->files[j];
            if (file->folder == PACK_DECISIONS && str_eq(file->ending, STR("dmn")))
                rc = take_file(decisions, pack, file, round, err);
        }
    }
    return rc;
}

/* Round by round, so that what is imported is there before what imports it, whatever the files' names. */
enum err_code decisions_take_packs(struct decisions *decisions, const struct packs *packs, struct err *err)
{
    enum err_code rc = store_write(decisions->config.store, imports_name, NULL, err);
    for (int later = -1; !rc;) {
        struct round round = { 0 };
        rc = take_round(decisions, packs, &round, err);
        if (rc || !round.later)
            return rc;
        if (round.later == later) {
            if (err)
                *err = round.why;
            return round.why.code;
        }
        later = round.later;
    }
    return rc;
}

/* -- bihuan pack check --------------------------------------------------------------------------------- */

#define CHECK_FINDINGS_MAX 50

struct check {
    const struct packs *packs;
    const struct words *words;
    enum lang lang;
    struct findings *findings;
    const struct pack *pack;
    const struct pack_file *file;
};

static enum err_code tell(const struct check *check, const struct dmn_finding *found, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    struct err one = { 0 };
    char where[200], at[40];
    if (!arena)
        return err_nomem(err);
    const struct str what = err_text(arena, &found->err, check->words, check->lang);
    (void)snprintf(where, sizeof where, "%.*s/%.*s:%d", STR_ARG(check->pack->name),
                   STR_ARG(check->file->path), found->line);
    (void)snprintf(at, sizeof at, "%d:%d", found->rule, found->column);
    if (found->rule > 0 && found->column > 0)
        (void)err_set(&one, ERR_INVALID, "decision.pack_cell", ARG_TEXT("file", where),
                      ARG_STR("element", found->element), ARG_TEXT("at", at), ARG_STR("what", what), ARG_END);
    else if (found->element.len > 0)
        (void)err_set(&one, ERR_INVALID, "decision.pack_element", ARG_TEXT("file", where),
                      ARG_STR("element", found->element), ARG_STR("what", what), ARG_END);
    else
        (void)err_set(&one, ERR_INVALID, "decision.pack_model", ARG_TEXT("file", where),
                      ARG_STR("what", what), ARG_END);
    findings_add(check->findings, &one);
    return ERR_OK;
}

static enum err_code check_file(const struct check *check, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(DMN_MODEL_BYTES_MAX);
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    struct imports imports;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = imports_of_packs(check->packs, arena, check->file->text, &imports, err);
    if (rc == ERR_OK)
        rc = decision_load(&imports, &model, &why, err);
    if (rc == ERR_OK && !model) {
        struct dmn_finding none = { .err = why, .line = why.at.line };
        none.err.at.line = 0; /* stands in front already */
        return tell(check, &none, err);
    }
    for (int i = 0; rc == ERR_OK && i < dmn_findings(model)->count && i < CHECK_FINDINGS_MAX; i++)
        if (dmn_findings(model)->items[i].is_error && dmn_findings(model)->items[i].source == 0)
            rc = tell(check, &dmn_findings(model)->items[i], err);
    return rc;
}

enum err_code decisions_check_packs(const struct packs *packs, const struct words *words, enum lang lang,
                                    struct findings *findings, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < packs_count(packs); i++)
        for (int j = 0; j < packs_at(packs, i)->files_count && rc == ERR_OK; j++) {
            const struct pack *pack = packs_at(packs, i);
            const struct check check = { packs, words, lang, findings, pack, &pack->files[j] };
            if (check.file->folder == PACK_DECISIONS && str_eq(check.file->ending, STR("dmn")))
                rc = check_file(&check, err);
        }
    return rc;
}
