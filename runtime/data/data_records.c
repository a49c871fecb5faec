/* Records of a file: JSON lines, or one JSON list of objects. A record knows
 * the line that it begins in. */
#include "runtime/data/data_private.h"
#include <string.h>

bool bad(Load *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->why, sizeof l->why, fmt, ap);
    va_end(ap);
    return false;
}

bool refuse(Load *l, Err *err)
{
    enum { NAMED = 20 };
    Data *d = l->data;
    if (!l->spec->skip_bad)
        return err_set(err, "%.400s:%d: %s", l->spec->path, l->line, l->why);
    if (d->bad++ < NAMED)
        list_push(&d->arena, &d->why,
                  arena_printf(&d->arena, "line %d: %s", l->line, l->why));
    return true;
}

const char *json_kind(const cJSON *v)
{
    return !v                  ? "not there"
           : cJSON_IsNull(v)   ? "null"
           : cJSON_IsBool(v)   ? "true or false"
           : cJSON_IsNumber(v) ? "a number"
           : cJSON_IsString(v) ? "a text"
           : cJSON_IsArray(v)  ? "a list"
                               : "an object";
}

static size_t skip_blank(const char *text, size_t at, size_t end)
{
    while (at < end && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    return at;
}

/* How many lines begin in text[from .. to). */
static int lines_in(const char *text, size_t from, size_t to)
{
    int n = 0;
    for (const char *p = text + from;
         (p = memchr(p, '\n', (size_t)(text + to - p))); p++)
        n++;
    return n;
}

static bool is_object(Load *l, const cJSON *v)
{
    return cJSON_IsObject(v) || bad(l, "an object {..} is wanted, this is %s",
                                    json_kind(v));
}

/* Where the text stops being JSON, counted from 0. */
static bool no_json(Load *l, const char *from, const char *stopped,
                    const char *end)
{
    size_t at = stopped && stopped > from ? (size_t)(stopped - from) : 0;
    if (from + at + 1 >= end) /* the parser stops at the last byte at most */
        return bad(l, "it is cut off: the JSON has no end");
    return bad(l, "not JSON from its byte %zu on", at + 1);
}

/* One line, text[0 .. len), which is not blank. */
static bool read_line(Load *l, const char *text, size_t len, Record *record)
{
    const char *stopped = NULL;
    if (memchr(text, 0, len))
        return bad(l, "a NUL byte: this is not a text file");
    size_t at;
    if (!utf8_valid(text, len, &at))
        return bad(l, "not UTF-8 from its byte %zu on", at + 1);
    cJSON *v = cJSON_ParseWithLengthOpts(text, len, &stopped, false);
    bool fine = v != NULL;
    if (!fine)
        no_json(l, text, stopped, text + len);
    else if (skip_blank(text, (size_t)(stopped - text), len) < len)
        fine = bad(l, "more behind the JSON's end, at its byte %zu",
                   skip_blank(text, (size_t)(stopped - text), len) + 1);
    fine = fine && is_object(l, v) && record(l, v);
    cJSON_Delete(v);
    return fine;
}

static bool each_line(Load *l, const char *text, size_t len, Record *record,
                      Err *err)
{
    l->line = 0;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        l->line++;
        if (skip_blank(text + at, 0, n) < n &&
            !read_line(l, text + at, n, record) && !refuse(l, err))
            return false;
        at += n + 1;
    }
    return true;
}

/* The list's next element; false with err set. What is behind one that is no
 * JSON cannot be told apart, whatever is to be skipped. */
static bool element(Load *l, const char *text, size_t len, size_t *at,
                    Record *record, Err *err)
{
    const char *stopped = NULL;
    cJSON *v = cJSON_ParseWithLengthOpts(text + *at, len - *at, &stopped,
                                         false);
    if (!v) {
        no_json(l, text + *at, stopped, text + len);
        return err_set(err, "%.400s:%d: %s", l->spec->path, l->line, l->why);
    }
    bool fine = (is_object(l, v) && record(l, v)) || refuse(l, err);
    cJSON_Delete(v);
    size_t next = (size_t)(stopped - text);
    l->line += lines_in(text, *at, next);
    *at = next;
    return fine;
}

static bool each_element(Load *l, const char *text, size_t len, size_t at,
                         Record *record, Err *err)
{
    l->line = 1 + lines_in(text, 0, at);
    for (bool first = true;; first = false) {
        size_t next = skip_blank(text, at, len);
        l->line += lines_in(text, at, next);
        at = next;
        if (at == len)
            return err_set(err, "%.400s:%d: it is cut off: the list has no "
                                "end", l->spec->path, l->line);
        if (text[at] == ']')
            break;
        if (!first && text[at] != ',')
            return err_set(err, "%.400s:%d: `,` or `]` is wanted behind an "
                                "element", l->spec->path, l->line);
        if (!first) {
            next = skip_blank(text, at + 1, len);
            l->line += lines_in(text, at, next);
            at = next;
        }
        if (!element(l, text, len, &at, record, err))
            return false;
    }
    size_t rest = skip_blank(text, at + 1, len);
    return rest == len || err_set(err, "%.400s:%d: more behind the list's end",
                                  l->spec->path, l->line);
}

bool each_record(Load *l, const char *text, size_t len, Record *record,
                 Err *err)
{
    static const char mark[] = "\xef\xbb\xbf"; /* a BOM says nothing */
    size_t at = len >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
    size_t begin = skip_blank(text, at, len), wrong;
    if (begin == len)
        return err_set(err, "%.400s: it is empty", l->spec->path);
    if (text[begin] != '[')
        return each_line(l, text + at, len - at, record, err);
    l->line = 1;
    if (memchr(text, 0, len))
        return err_set(err, "%.400s: a NUL byte: this is not a text file",
                       l->spec->path);
    if (!utf8_valid(text, len, &wrong))
        return err_set(err, "%.400s:%d: not UTF-8", l->spec->path,
                       1 + lines_in(text, 0, wrong));
    return each_element(l, text, len, begin + 1, record, err);
}
