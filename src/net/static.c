/* static.c - the built pages: every file opened once at start, answered by a ready-made response.
 *
 * Files under assets/ carry a hash in their name and are cached for ever; everything else is asked for anew
 * (ETag).  FILE.br and FILE.gz beside FILE are its compressed forms.  A path without a file and without a dot
 * in its last segment is a page of the application and gets index.html. */
#include "net/exchange.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FILES_MAX 5000
#define DEPTH_MAX 8

enum form { FORM_PLAIN, FORM_GZIP, FORM_BROTLI, FORM__COUNT };
static const char *const SUFFIXES[FORM__COUNT] = { "", ".gz", ".br" };
static const char *const CODINGS[FORM__COUNT] = { "", "gzip", "br" };

struct file {
    char *path; /* "/assets/index-1a2b3c4d.js"; owned */
    char etag[24];
    struct MHD_Response *forms[FORM__COUNT];
};

struct statics {
    struct file *files; /* sorted by path */
    size_t count, size;
    struct MHD_Response *none; /* the page that says that there are no pages */
};

static const struct {
    const char *suffix, *type;
} TYPES[] = {
    { ".html", "text/html; charset=utf-8" },
    { ".js", "text/javascript; charset=utf-8" },
    { ".mjs", "text/javascript; charset=utf-8" },
    { ".css", "text/css; charset=utf-8" },
    { ".json", "application/json" },
    { ".webmanifest", "application/manifest+json" },
    { ".svg", "image/svg+xml" },
    { ".png", "image/png" },
    { ".jpg", "image/jpeg" },
    { ".webp", "image/webp" },
    { ".ico", "image/x-icon" },
    { ".woff2", "font/woff2" },
    { ".woff", "font/woff" },
    { ".ttf", "font/ttf" },
    { ".wasm", "application/wasm" },
    { ".mp3", "audio/mpeg" },
    { ".wav", "audio/wav" },
    { ".ogg", "audio/ogg" },
    { ".map", "application/json" },
    { ".pdf", "application/pdf" },
    { ".txt", "text/plain; charset=utf-8" },
};

static const char NONE[] =
    "<!doctype html><meta charset=utf-8><title>bihuan</title><p>bihuan 正在运行，但网页文件未安装。"
    "<p>bihuan is running; its web pages are not installed.";

static const char *type_of(const char *path)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (str_ends(str_from(path), str_from(TYPES[i].suffix)))
            return TYPES[i].type;
    return "application/octet-stream";
}

void response_secure(struct MHD_Response *response, bool secure)
{
    static const char *const headers[][2] = {
        { "X-Content-Type-Options", "nosniff" },
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "same-origin" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Permissions-Policy", "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()" },
        { "Content-Security-Policy",
          "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
          "blob:; "
          "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
          "frame-ancestors 'none'; base-uri 'self'; form-action 'self'" },
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        (void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (secure)
        (void)MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
}

static bool is_hashed(const char *path)
{
    const struct str text = str_from(path);
    return str_starts(text, STR("/assets/")) && str_find(text, STR("-")) > 0;
}

/* The response of one file, and its ETag by content when it is the plain one. */
static struct MHD_Response *open_form(const char *dir, struct file *file, enum form form)
{
    char name[4096];
    struct stat status;
    const int length = snprintf(name, sizeof name, "%s%s%s", dir, file->path, SUFFIXES[form]);
    const int fd = length < 0 || (size_t)length >= sizeof name ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    if (form == FORM_PLAIN) {
        unsigned long sum = crc32(0, NULL, 0);
        char block[16384];
        ssize_t got;
        off_t at = 0;
        while ((got = pread(fd, block, sizeof block, at)) > 0) {
            sum = crc32(sum, (const Bytef *)block, (uInt)got);
            at += got;
        }
        (void)snprintf(file->etag, sizeof file->etag, "\"%08lx%lx\"", sum, (unsigned long)status.st_size);
    }
    struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)status.st_size, fd);
    if (!response) {
        (void)close(fd);
        return NULL;
    }
    (void)MHD_add_response_header(response, "Content-Type", type_of(file->path));
    (void)MHD_add_response_header(response, "Vary", "Accept-Encoding");
    if (form != FORM_PLAIN)
        (void)MHD_add_response_header(response, "Content-Encoding", CODINGS[form]);
    (void)MHD_add_response_header(response, "Cache-Control",
                                  is_hashed(file->path) ? "public, max-age=31536000, immutable" : "no-cache");
    (void)MHD_add_response_header(response, "ETag", file->etag);
    response_secure(response, false);
    return response;
}

static bool add_file(struct statics *statics, const char *dir, const char *path)
{
    if (statics->count == FILES_MAX)
        return false;
    if (statics->count == statics->size) {
        const size_t size = statics->size ? statics->size * 2 : 64;
        struct file *files = mem_realloc(statics->files, size * sizeof *files);
        if (!files)
            return false;
        statics->files = files;
        statics->size = size;
    }
    struct file *file = &statics->files[statics->count];
    *file = (struct file) { .path = mem_copy(path, strlen(path)) };
    if (!file->path)
        return false;
    for (int form = 0; form < FORM__COUNT; form++)
        file->forms[form] = open_form(dir, file, (enum form)form);
    if (file->forms[FORM_PLAIN])
        statics->count++;
    else
        mem_free(file->path);
    return true;
}

static bool walk(struct statics *statics, const char *dir, const char *below, int depth)
{
    char name[4096];
    (void)snprintf(name, sizeof name, "%s%s", dir, below);
    DIR *folder = depth < DEPTH_MAX ? opendir(name) : NULL;
    if (!folder)
        return depth > 0;
    bool fine = true;
    const struct dirent *entry;
    while (fine && (entry = readdir(folder))) {
        char path[2048];
        struct stat status;
        const struct str one = str_from(entry->d_name);
        if (one.ptr[0] == '.' || str_ends(one, STR(".br")) || str_ends(one, STR(".gz")))
            continue;
        const int length = snprintf(path, sizeof path, "%s/%s", below, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path ||
            snprintf(name, sizeof name, "%s%s", dir, path) < 0 || stat(name, &status) != 0)
            continue;
        if (S_ISDIR(status.st_mode))
            fine = walk(statics, dir, path, depth + 1);
        else if (S_ISREG(status.st_mode))
            fine = add_file(statics, dir, path);
    }
    (void)closedir(folder);
    return fine;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static struct MHD_Response *page(const char *text, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response) {
        (void)MHD_add_response_header(response, "Content-Type", "text/html; charset=utf-8");
        (void)MHD_add_response_header(response, "Cache-Control", "no-cache");
        response_secure(response, false);
    }
    return response;
}

enum err_code statics_new(const char *dir, struct statics **out, struct err *err)
{
    struct statics *statics = mem_alloc(1, sizeof *statics);
    if (!statics)
        return err_nomem(err);
    statics->none = page(NONE, sizeof NONE - 1);
    if (!statics->none) {
        statics_free(statics);
        return err_nomem(err);
    }
    if (dir && !walk(statics, dir, "", 0) && statics->count) {
        statics_free(statics);
        return err_set(err, ERR_LIMIT, "net.web_files", ARG_TEXT("path", dir), ARG_INT("max", FILES_MAX),
                       ARG_END);
    }
    if (statics->count)
        qsort(statics->files, statics->count, sizeof *statics->files, by_path);
    *out = statics;
    return ERR_OK;
}

void statics_free(struct statics *statics)
{
    if (!statics)
        return;
    for (size_t i = 0; i < statics->count; i++) {
        for (int form = 0; form < FORM__COUNT; form++)
            if (statics->files[i].forms[form])
                MHD_destroy_response(statics->files[i].forms[form]);
        mem_free(statics->files[i].path);
    }
    if (statics->none)
        MHD_destroy_response(statics->none);
    mem_free(statics->files);
    mem_free(statics);
}

static const struct file *find_file(const struct statics *statics, const char *path)
{
    const struct file key = { .path = (char *)(uintptr_t)path };
    return statics->count ? bsearch(&key, statics->files, statics->count, sizeof key, by_path) : NULL;
}

/* True when a comma-separated Accept-Encoding names the coding without q=0. */
static bool accepts(struct str header, const char *coding)
{
    struct str part;
    while (str_cut(&header, ',', &part)) {
        struct str name, rest = part;
        (void)str_cut(&rest, ';', &name);
        if (str_eq_nocase(str_trim(name), str_from(coding)))
            return !rest.ptr || str_find(rest, STR("q=0")) < 0 || str_find(rest, STR("q=0.")) >= 0;
    }
    return false;
}

static enum MHD_Result not_modified(struct exchange *x, const struct file *file)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "ETag", file->etag);
    (void)MHD_add_response_header(response, "Cache-Control", "no-cache");
    response_secure(response, x->req.secure);
    const enum MHD_Result queued = MHD_queue_response(x->connection, 304, response);
    MHD_destroy_response(response);
    return queued;
}

bool statics_answer(const struct statics *statics, struct exchange *x, enum MHD_Result *out)
{
    const struct str path = x->req.path;
    const struct file *file = find_file(statics, path.ptr);
    size_t last = path.len;
    while (last && path.ptr[last - 1] != '/')
        last--;
    const bool is_page = str_find(str_slice(path, last, path.len), STR(".")) < 0;
    if (!file && is_page)
        file = find_file(statics, "/index.html");
    if (!file && !(is_page && !statics->count))
        return false;
    if (!file) {
        *out = MHD_queue_response(x->connection, 200, statics->none);
        return true;
    }
    if (str_eq(request_header(&x->req, "If-None-Match"), str_from(file->etag))) {
        *out = not_modified(x, file);
        return true;
    }
    const struct str encodings = request_header(&x->req, "Accept-Encoding");
    enum form form = FORM_PLAIN;
    if (file->forms[FORM_BROTLI] && accepts(encodings, "br"))
        form = FORM_BROTLI;
    else if (file->forms[FORM_GZIP] && accepts(encodings, "gzip"))
        form = FORM_GZIP;
    *out = MHD_queue_response(x->connection, 200, file->forms[form]);
    return true;
}
