/* type_fuzz.c - an arbitrary file as a record type: compiled or refused with findings; a compiled one reads
 * arbitrary records. */
#include "platform/entity/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/bihuan-type-fuzz-XXXXXX";

static void remove_root(void)
{
    char path[200];
    static const char *const names[] = { "p/types/t.json", "p/pack.json", "p/types", "p", "" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, names[i]);
        (void)remove(path);
    }
}

static void put(const char *name, const void *bytes, size_t size)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
        abort();
}

static void make_root(void)
{
    static const char pack[] = "{\"name\":\"p\",\"version\":\"1\",\"title\":{\"zh-CN\":\"p\",\"en\":\"p\"}}";
    char path[200];
    if (!mkdtemp(root))
        abort();
    (void)snprintf(path, sizeof path, "%s/p", root);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/p/types", root);
    (void)mkdir(path, 0700);
    put("p/pack.json", pack, sizeof pack - 1);
    (void)atexit(remove_root);
}

static void read_records(const struct types *types, struct arena *arena)
{
    static const char *const records[] = { "{}", "{\"name\":\"x\",\"code\":7}", "[1]",
                                           "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"title\":\"\xe7\xbd\x91\"}" };
    for (int i = 0; i < types_count(types); i++)
        for (size_t n = 0; n < sizeof records / sizeof *records; n++) {
            struct value values[TYPE_FIELDS_MAX];
            json_t *json = json_loads(records[n], 0, NULL);
            if (!fields_read(types_at(types, i), json, FIELDS_CREATE, arena, NULL, values, NULL))
                (void)!fields_required(types_at(types, i), values, NULL, NULL);
            json_decref(json);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    if (!made)
        make_root();
    made = true;
    put("p/types/t.json", data, size);
    struct arena *arena = arena_new(8 << 20);
    struct packs *packs = NULL;
    struct types *types = NULL;
    struct findings findings;
    struct err err;
    const char *dirs[] = { root };
    const struct packs_config config = { .dirs = dirs, .dirs_count = 1 };
    if (arena && !findings_init(&findings, arena, &err) && !packs_load(&config, &findings, &packs, &err) &&
        !types_compile(packs, &findings, &types, &err))
        read_records(types, arena);
    types_free(types);
    packs_free(packs);
    arena_free(arena);
    return 0;
}
