/* Messages: JSON behind a head that says how long it is. */
#include "cli/lsp/server.h"
#include <ctype.h>
#include <string.h>

enum { LONGEST = 64 << 20 };

/* The head's lines up to the empty one; -1: none is there, or no length. */
static long read_head(FILE *in)
{
    static const char name[] = "Content-Length:";
    char line[512];
    long length = -1;
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '\r' || line[0] == '\n')
            return length;
        if (!strncmp(line, name, sizeof name - 1))
            length = strtol(line + sizeof name - 1, NULL, 10);
    }
    return -1;
}

char *rpc_read(FILE *in)
{
    long length = read_head(in);
    if (length < 0 || length > LONGEST)
        return NULL;
    char *text = xmalloc((size_t)length + 1);
    if (fread(text, 1, (size_t)length, in) != (size_t)length) {
        free(text);
        return NULL;
    }
    text[length] = 0;
    return text;
}

void rpc_send(FILE *out, cJSON *message)
{
    cJSON_AddStringToObject(message, "jsonrpc", "2.0");
    char *text = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
    if (!text)
        die("no memory for a message");
    fprintf(out, "Content-Length: %zu\r\n\r\n%s", strlen(text), text);
    fflush(out);
    free(text);
}

static cJSON *reply(const cJSON *id)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "id",
                          id ? cJSON_Duplicate(id, true) : cJSON_CreateNull());
    return o;
}

void rpc_answer(FILE *out, const cJSON *id, cJSON *result)
{
    cJSON *o = reply(id);
    cJSON_AddItemToObject(o, "result", result ? result : cJSON_CreateNull());
    rpc_send(out, o);
}

void rpc_fail(FILE *out, const cJSON *id, int code, const char *why)
{
    cJSON *o = reply(id), *e = cJSON_AddObjectToObject(o, "error");
    cJSON_AddNumberToObject(e, "code", code);
    cJSON_AddStringToObject(e, "message", why);
    rpc_send(out, o);
}

/* ---- names of files ---- */

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

char *uri_path(const char *uri)
{
    const char *s = strncmp(uri, "file://", 7) ? uri : uri + 7;
    char *path = xmalloc(strlen(s) + 1), *to = path;
    for (; *s; s++)
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *to++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else {
            *to++ = *s;
        }
    *to = 0;
    return path;
}

char *path_uri(const char *path)
{
    char *uri = xmalloc(3 * strlen(path) + 8), *to = uri;
    to += sprintf(to, "file://");
    for (const char *s = path; *s; s++)
        if (isalnum((unsigned char)*s) || strchr("/-_.~", *s))
            *to++ = *s;
        else
            to += sprintf(to, "%%%02X", (unsigned char)*s);
    *to = 0;
    return uri;
}
