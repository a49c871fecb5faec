/* Places: bytes of a text here, lines and columns there. */
#include "cli/lsp/server.h"

static int bytes_of(unsigned char c)
{
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Columns that the character of n bytes has. */
static int units(const Server *s, int n)
{
    return !s->utf16 ? n : n == 4 ? 2 : 1;
}

static int number(const cJSON *o, const char *name)
{
    const cJSON *n = cJSON_GetObjectItem(o, name);
    return cJSON_IsNumber(n) && n->valuedouble >= 0 ? n->valueint : 0;
}

int place_at(const Server *s, const char *text, const cJSON *at_line)
{
    int line = number(at_line, "line"), at = 0;
    int column = number(at_line, "character");
    for (; line > 0 && text[at]; at++)
        line -= text[at] == '\n';
    while (column > 0 && text[at] && text[at] != '\n') {
        int n = bytes_of((unsigned char)text[at]);
        column -= units(s, n);
        for (; n > 0 && text[at]; n--)
            at++;
    }
    return at;
}

static cJSON *position(const Server *s, const char *text, int at)
{
    int line = 0, column = 0;
    for (int i = 0; i < at && text[i];) {
        int n = bytes_of((unsigned char)text[i]);
        column = text[i] == '\n' ? 0 : column + units(s, n);
        line += text[i] == '\n';
        for (; n > 0 && text[i]; n--)
            i++;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "line", line);
    cJSON_AddNumberToObject(o, "character", column);
    return o;
}

cJSON *place_range(const Server *s, const char *text, Loc loc)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "start", position(s, text, loc.at));
    cJSON_AddItemToObject(o, "end", position(s, text, loc.at + loc.len));
    return o;
}
