/* files_test.c - contents kept once and whole; nothing is named that is not there, also when the power goes
 */
#include "platform/files/files.h"

#include "test.h"
#include "teststore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char root[64];
    struct store *store;
    struct clock clock;
    struct ids ids;
    struct arena *arena;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture) { 0 };
    strcpy(f->root, "/tmp/bihuan-files-XXXXXX");
    test_ok(mkdtemp(f->root), "mkdtemp");
    clock_test_init(&f->clock, INT64_C(1795240000000));
    ids_init(&f->ids, &f->clock, 0);
    f->store = teststore_new();
    f->arena = arena_new(1 << 20);
}

static void end(struct fixture *f)
{
    store_close(f->store);
    arena_free(f->arena);
    char command[100];
    (void)snprintf(command, sizeof command, "rm -r %s", f->root);
    test_ok(!system(command), "rm");
}

static int source(const struct fixture *f, const void *bytes, size_t len)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/source", f->root);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    test_ok(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "source");
    return fd;
}

struct listing {
    struct fixture *f;
    struct file_info *list;
    int count;
};
static enum err_code list_fn(struct tx *tx, void *arg, struct err *err)
{
    struct listing *l = arg;
    return files_list(tx, STR("ops.ticket"), 7, l->f->arena, &l->list, &l->count, err);
}
static struct listing list(struct fixture *f)
{
    struct listing l = { .f = f };
    struct err err = { 0 };
    teststore_ok(store_read(f->store, list_fn, &l, &err), &err, "list");
    return l;
}

static enum err_code put(struct fixture *f, struct files *files, const char *name, const void *bytes,
                         size_t len, struct err *err)
{
    const int fd = source(f, bytes, len);
    struct file_info info = { .name = str_from(name), .owner_type = STR("ops.ticket"), .owner = 7 };
    const enum err_code rc = files_put(files, fd, (int64_t)len, &info, err);
    (void)close(fd);
    return rc;
}

static void test_keep(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct files *files = NULL;
    char dir[100], big[200000];
    begin(&f);
    (void)snprintf(dir, sizeof dir, "%s/files", f.root);
    teststore_ok(files_open(dir, NULL, f.store, &f.ids, &f.clock, &files, &err), &err, "open");
    memset(big, 'x', sizeof big);
    teststore_ok(put(&f, files, "a.txt", "hello", 5, &err), &err, "text");
    teststore_ok(put(&f, files, "b.pdf", "%PDF-1.7 ...", 12, &err), &err, "pdf");
    teststore_ok(put(&f, files, "\xe5\x9b\xbe.txt", "hello", 5, &err), &err, "the same again");
    teststore_ok(put(&f, files, "big", big, sizeof big, &err), &err, "big");
    teststore_ok(put(&f, files, "empty", "", 0, &err), &err, "empty");
    struct listing l = list(&f);
    test_ok(l.count == 5 && l.list[3].size == (int64_t)sizeof big, "%d", l.count);
    test_ok(str_eq(l.list[1].type, STR("application/pdf")) && !strcmp(l.list[0].digest, l.list[2].digest),
            "types");
    for (int i = 0; i < l.count; i++) {
        int fd = -1;
        char got[200001];
        teststore_ok(files_content(files, &l.list[i], &fd, &err), &err, "content");
        test_ok(read(fd, got, sizeof got) == l.list[i].size, "size");
        (void)close(fd);
    }
    static const char *const bad[] = { "", "a/b", "..", "a\nb", "\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        test_ok(put(&f, files, bad[i], "x", 1, &err) == ERR_INVALID, "name %zu", i);
    files_free(files);
    end(&f);
}

/* At every changing call of the disk the power goes: each row that is there has its whole content. */
static void test_power_cut(void **state)
{
    (void)state;
    if (teststore_is_postgres())
        return; /* the disk is the same */
    bool done = false;
    for (long nth = 0; !done; nth++) {
        struct fixture f;
        struct err err = { 0 };
        struct files *files = NULL;
        char dir[100];
        begin(&f);
        (void)snprintf(dir, sizeof dir, "%s/files", f.root);
        struct disk *disk = disk_faulty_new((uint64_t)nth + 1);
        disk_cut_at(disk, nth);
        enum err_code rc = files_open(dir, disk, f.store, &f.ids, &f.clock, &files, &err);
        if (!rc)
            rc = put(&f, files, "a.txt", "hello", 5, &err);
        done = rc == ERR_OK;
        files_free(files);
        if (disk_is_cut(disk))
            disk_settle(disk);
        disk_faulty_free(disk);
        const struct listing l = list(&f);
        test_ok(l.count == done, "row at %ld", nth);
        if (l.count) {
            int fd = -1;
            char got[10] = "";
            teststore_ok(files_open(dir, NULL, f.store, &f.ids, &f.clock, &files, &err), &err, "again");
            teststore_ok(files_content(files, &l.list[0], &fd, &err), &err, "content");
            test_ok(read(fd, got, sizeof got) == 5 && !memcmp(got, "hello", 5), "whole");
            (void)close(fd);
            files_free(files);
        }
        test_ok(nth < 100, "no end");
        end(&f);
    }
}

/* ---- what nothing names any more ---- */

static enum err_code owner_is_there(void *arg, struct tx *tx, struct str type, int64_t id, bool *out,
                                    struct err *err)
{
    (void)tx;
    (void)err;
    (void)type;
    *out = id != *(const int64_t *)arg;
    return ERR_OK;
}

static enum err_code go_on(void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    return ERR_OK;
}

static void make_old(const struct fixture *f)
{
    char command[200];
    (void)snprintf(command, sizeof command, "find %s/files -type f -exec touch -d @%lld {} +", f->root,
                   (long long)(clock_now(&f->clock) / 1000 - 90000));
    test_ok(!system(command), "touch");
}

static int contents(const struct fixture *f)
{
    char command[200];
    int count = -1;
    (void)snprintf(command, sizeof command, "find %s/files -type f | wc -l", f->root);
    FILE *file = popen(command, "r");
    test_ok(file && fscanf(file, "%d", &count) == 1, "count");
    (void)pclose(file);
    return count;
}

static void test_collect(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = { 0 };
    struct files *files = NULL;
    struct files_collected done;
    char dir[100];
    int64_t gone = 8; /* the owner of all files below is 7 */
    const struct files_owners owners = { owner_is_there, go_on, &gone };
    begin(&f);
    (void)snprintf(dir, sizeof dir, "%s/files", f.root);
    teststore_ok(files_open(dir, NULL, f.store, &f.ids, &f.clock, &files, &err), &err, "open");
    teststore_ok(put(&f, files, "a", "one", 3, &err), &err, "a");
    teststore_ok(put(&f, files, "b", "two", 3, &err), &err, "b");
    make_old(&f);
    teststore_ok(files_collect(files, &owners, &done, &err), &err, "nothing to do");
    test_ok(!done.rows && !done.contents && list(&f).count == 2 && contents(&f) == 2, "all is named");
    gone = 7;
    long nth = 0;
    for (;; nth++) { /* a failure in between leaves no row without its content */
        store_fail_at(f.store, nth, ERR_IO);
        const enum err_code rc = files_collect(files, &owners, &done, &err);
        store_fail_at(f.store, -1, ERR_OK);
        test_ok(list(&f).count == 0 || contents(&f) == 2, "whole or gone at %ld", nth);
        if (rc == ERR_OK)
            break;
        test_ok(nth < 50, "no end");
    }
    test_ok(nth > 3 && list(&f).count == 0 && contents(&f) == 0, "gone with its owner: %d", contents(&f));
    gone = 8;
    teststore_ok(put(&f, files, "c", "three", 5, &err), &err, "c");
    gone = 7;
    teststore_ok(files_collect(files, &owners, &done, &err), &err, "young");
    test_ok(done.rows == 1 && !done.contents && contents(&f) == 1, "what is young stays");
    for (nth = 0;; nth++) { /* want of memory */
        make_old(&f);
        mem_fail_at(nth);
        const enum err_code rc = files_collect(files, &owners, &done, &err);
        mem_fail_at(-1);
        test_ok(rc == ERR_OK || rc == ERR_NOMEM, "no memory at %ld: %d", nth, rc);
        if (rc == ERR_OK)
            break;
    }
    test_ok(contents(&f) == 0, "gone at last");
    files_free(files);
    end(&f);
}

TEST_MAIN(TEST(test_keep), TEST(test_power_cut), TEST(test_collect))
