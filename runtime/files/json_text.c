/* JSON written back as it was read: a number that came as 10000.0 leaves as
 * 10000.0, for readers that tell the two apart. Its text is kept in the item's
 * valuestring, which cJSON copies along and does not print. */
#include "runtime/files/files_private.h"
#include <math.h>
#include <string.h>

/* ---- reading: the numbers of the text, in the order of the tree ---- */

static const char *next_number(const char *at)
{
    for (bool quoted = false; *at; at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (*at == '-' || (*at >= '0' && *at <= '9')))
            return at;
    }
    return at;
}

static const char *keep(cJSON *item, const char *at)
{
    if (cJSON_IsNumber(item)) {
        at = next_number(at);
        size_t len = strspn(at, "+-.0123456789eE");
        item->valuestring = cJSON_malloc(len + 1);
        if (!item->valuestring)
            die("out of memory");
        memcpy(item->valuestring, at, len);
        item->valuestring[len] = 0;
        return at + len;
    }
    for (cJSON *i = item->child; i; i = i->next)
        at = keep(i, at);
    return at;
}

void json_keep_numbers(cJSON *root, const char *text)
{
    keep(root, text);
}

cJSON *json_real(double value)
{
    char text[64];
    cJSON *item = cJSON_CreateNumber(value);
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(text, sizeof text, "%.1f", value);
        keep(item, text);
    }
    return item;
}

/* ---- writing ---- */

static void print_plain(FILE *out, const cJSON *item)
{
    char *text = cJSON_IsNumber(item) && item->valuestring
                     ? NULL
                     : cJSON_PrintUnformatted(item);
    fputs(text ? text : item->valuestring, out);
    cJSON_free(text);
}

static void print_key(FILE *out, const cJSON *item)
{
    cJSON *key = cJSON_CreateString(item->string);
    print_plain(out, key);
    cJSON_Delete(key);
    fputs(": ", out);
}

static void print(FILE *out, const cJSON *item, int depth)
{
    bool object = cJSON_IsObject(item);
    if ((!object && !cJSON_IsArray(item)) || !item->child) {
        print_plain(out, item);
        return;
    }
    fputs(object ? "{\n" : "[\n", out);
    for (const cJSON *i = item->child; i; i = i->next) {
        fprintf(out, "%*s", 2 * depth + 2, "");
        if (object)
            print_key(out, i);
        print(out, i, depth + 1);
        fputs(i->next ? ",\n" : "\n", out);
    }
    fprintf(out, "%*s%c", 2 * depth, "", object ? '}' : ']');
}

char *json_text(const cJSON *item)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        die("out of memory");
    print(out, item, 0);
    fputc('\n', out);
    fclose(out);
    return text;
}
