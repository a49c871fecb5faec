/* What a command says: results, notes, errors; and the reading of sources. */
#include "cli/common/common.h"
#include <errno.h>
#include <string.h>

void report_json(cJSON *object)
{
    char *text = cJSON_Print(object);
    if (!text)
        die("out of memory");
    terminal_exact();
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

int report_error(const Common *common, const Err *err)
{
    fprintf(stderr, "graft: %s\n", err->text);
    if (common->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "error", err->text);
        report_json(object);
    }
    return EXIT_wrong_input;
}

void report_note(const Common *common, const char *fmt, ...)
{
    if (common->quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int report_end(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        fprintf(stderr, "graft: cannot write to stdout: %s\n",
                strerror(errno));
    return EXIT_wrong_input;
}

static char *read_stdin(size_t *len, Err *err)
{
    size_t room = 1 << 16, n = 0, got;
    char *text = xmalloc(room);
    while ((got = fread(text + n, 1, room - n - 1, stdin)) > 0)
        if ((n += got) + 1 == room)
            text = xrealloc(text, room *= 2);
    if (ferror(stdin)) {
        err_set(err, "cannot read stdin: %s", strerror(errno));
        free(text);
        return NULL;
    }
    text[n] = 0;
    *len = n;
    return text;
}

char *text_read(const char *path, size_t *len, Err *err)
{
    return strcmp(path, "-") ? read_file(path, len, err)
                             : read_stdin(len, err);
}

bool source_read(Arena *arena, const char *path, Diags *diags, Source *src,
                 Err *err)
{
    size_t len;
    bool from_stdin = !strcmp(path, "-");
    char *text = text_read(path, &len, err);
    if (!text)
        return false;
    const char *nul = memchr(text, 0, len);
    bool fine = !nul && len < INT32_MAX;
    if (nul)
        err_set(err, "%s: not text: a zero byte at offset %td", path,
                nul - text);
    else if (!fine)
        err_set(err, "%s: too large for a spec", path);
    else
        *src = (Source){from_stdin ? "stdin" : path,
                        arena_strn(arena, text, len), (int)len, diags};
    free(text);
    return fine;
}
