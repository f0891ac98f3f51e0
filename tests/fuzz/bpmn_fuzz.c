/* bpmn_fuzz.c - a flow of arbitrary bytes: read or refused; what was read is run as far as it goes. */
#include "base/xml.h"
#include "handle/flow/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t token_id(void *ctx)
{
    return ++*(int64_t *)ctx;
}

static enum err_code decide(void *ctx, const struct flow_model *model, int edge, bool *out_true,
                            struct err *err)
{
    (void)model;
    (void)err;
    *out_true = (*(int64_t *)ctx + edge) % 2 == 0;
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(16 << 20);
    struct findings findings;
    const struct flow_model *model;
    struct err err;
    int64_t ids = 0;
    const struct flow_env env = { token_id, decide, &ids };
    xml_init();
    if (arena && !findings_init(&findings, arena, &err) &&
        !flow_model_read(arena, (struct str) { (const char *)data, size }, &findings, &model, &err)) {
        struct flow_run *run = arena_alloc(arena, 1, sizeof(*run));
        if (run) {
            flow_run_init(run, model);
            enum err_code rc = flow_run_start(run, &env, -1, &err);
            for (int i = 0; i < 50 && !rc && run->tokens_count; i++) {
                const struct flow_token token = run->tokens[i % run->tokens_count];
                const int boundary = flow_boundary_next(model, token.node, 0);
                run->effects_count = 0;
                rc = boundary >= 0 && i % 3 == 0 ? flow_run_timer(run, &env, token.id, boundary, &err)
                                                 : flow_run_complete(run, &env, token.id, &err);
            }
        }
    }
    arena_free(arena);
    return 0;
}
