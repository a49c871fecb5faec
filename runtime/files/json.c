/* JSON that is believed only as far as it was checked. The parsing is cJSON's;
 * here are the places of mistakes and what cJSON lets through: numbers that
 * are not finite, keys given twice, bytes that are not UTF-8. */
#include "runtime/files/files_private.h"
#include <math.h>
#include <string.h>

static void place(const char *text, size_t at, int *line, int *col)
{
    *line = *col = 1;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n')
            ++*line, *col = 1;
        else if (((unsigned char)text[i] & 0xc0) != 0x80)
            ++*col;
}

static bool word_at(const char *text, size_t len, size_t at, const char *word)
{
    size_t n = strlen(word);
    return at + n <= len && !memcmp(text + at, word, n);
}

static bool not_json(const char *what, const char *text, size_t len, size_t at,
                     Err *err)
{
    int line, col;
    if (at > len)
        at = len;
    place(text, at, &line, &col);
    const char *hint = "";
    if (word_at(text, len, at, "NaN") || word_at(text, len, at, "-NaN"))
        hint = " (NaN is no JSON number)";
    else if (word_at(text, len, at, "Infinity") ||
             word_at(text, len, at, "-Infinity"))
        hint = " (Infinity is no JSON number)";
    else if (at == len)
        hint = " (it ends too early)";
    return err_set(err, "%s:%d:%d: not valid JSON%s", what, line, col, hint);
}

static bool keys_differ(const char *what, const cJSON *object, Err *err)
{
    NameIndex seen = {0};
    bool good = true;
    for (const cJSON *i = object->child; i && good; i = i->next)
        if (!names_add(&seen, i->string, 0))
            good = err_set(err, "%s: key %.200s is given twice", what,
                           i->string);
    names_free(&seen);
    return good;
}

/* Depth is bounded by cJSON's own limit (1000). */
static bool sound(const char *what, const cJSON *item, Err *err)
{
    if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
        return err_set(err, "%s: %.200s is too large for a number", what,
                       item->string ? item->string : "an element");
    if (cJSON_IsObject(item) && !keys_differ(what, item, err))
        return false;
    for (const cJSON *i = item->child; i; i = i->next)
        if (!sound(what, i, err))
            return false;
    return true;
}

/* cJSON wants a NUL to see that nothing follows the value. */
static cJSON *parse(const char *what, const char *text, size_t len, Err *err)
{
    const char *end = text;
    cJSON *root = cJSON_ParseWithLengthOpts(text, len + 1, &end, true);
    if (!root)
        not_json(what, text, len, end ? (size_t)(end - text) : 0, err);
    return root;
}

/* A value of the tree takes 80 bytes, and two of text: `[1,1,..`. */
enum { MOST_VALUES = 20 * 1000 * 1000 };

bool json_fits(const char *what, const char *text, size_t len, Err *err)
{
    int64_t values = 1;
    for (size_t i = 0; i < len; i++)
        values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return values <= MOST_VALUES ||
           err_set(err, "%s: more than %d values", what, MOST_VALUES);
}

cJSON *json_object(const char *what, const char *text, size_t len, Err *err)
{
    size_t bad = 0;
    if (!utf8_valid(text, len, &bad)) {
        err_set(err, "%s: byte %zu is not UTF-8", what, bad);
        return NULL;
    }
    if (!json_fits(what, text, len, err))
        return NULL;
    char *copy = xmalloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    cJSON *root = parse(what, copy, len, err);
    if (root)
        json_keep_numbers(root, copy);
    free(copy);
    if (!root)
        return NULL;
    bool good = cJSON_IsObject(root) ||
                err_set(err, "%s: a JSON object is needed", what);
    if (good && sound(what, root, err))
        return root;
    cJSON_Delete(root);
    return NULL;
}

bool json_size(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item))
        return false;
    double v = item->valuedouble;
    if (!(v >= 0 && v <= 0x1p53) || v != floor(v))
        return false;
    *out = (int64_t)v;
    return true;
}
