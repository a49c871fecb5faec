/* The server: open documents, and which answer a message gets. */
#define _GNU_SOURCE /* asprintf */
#include "cli/lsp/server.h"
#include <poll.h>
#include <string.h>

static Document *find(const Server *s, const char *uri)
{
    for (int i = 0; i < s->open.n; i++)
        if (!strcmp(s->open.at[i].uri, uri))
            return &s->open.at[i];
    return NULL;
}

static const char *text_at(const cJSON *o, const char *a, const char *b)
{
    const cJSON *v = cJSON_GetObjectItem(cJSON_GetObjectItem(o, a), b);
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

static void look(const Server *s, Document *d)
{
    if (!d->changed && d->now)
        return;
    analysis_free(d->now);
    d->now = analysis_new(s, d);
    d->changed = false;
}

static void publish(const Server *s, Document *d)
{
    look(s, d);
    d->untold = false;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "method", "textDocument/publishDiagnostics");
    cJSON_AddItemToObject(o, "params", answer_diagnostics(s, d));
    rpc_send(s->out, o);
}

/* ---- documents ---- */

/* Those that name the file in a `use` are looked at again. */
static void changed(Server *s, const Document *d)
{
    const char *slash = strrchr(d->path, '/');
    const char *name = slash ? slash + 1 : d->path;
    char use[300];
    snprintf(use, sizeof use, "use %.*s", (int)strcspn(name, "."), name);
    for (int i = 0; i < s->open.n; i++) {
        Document *o = &s->open.at[i];
        if (o == d || strstr(o->text, use))
            o->changed = o->untold = true;
    }
}

static void set_text(Server *s, Document *d, const char *text)
{
    free(d->text);
    d->text = strdup(text);
    if (!d->text)
        die("no memory for a text");
    changed(s, d);
}

static void did_open(Server *s, const cJSON *params)
{
    const char *uri = text_at(params, "textDocument", "uri");
    const char *text = text_at(params, "textDocument", "text");
    if (!uri || !text)
        return;
    Document *d = find(s, uri);
    if (!d) {
        if (s->open.n == s->open.room) {
            s->open.room = 2 * s->open.room + 8;
            s->open.at = xrealloc(s->open.at, (size_t)s->open.room *
                                                  sizeof *s->open.at);
        }
        d = &s->open.at[s->open.n++];
        *d = (Document){.uri = strdup(uri), .path = uri_path(uri)};
        if (!d->uri)
            die("no memory for a name");
    }
    set_text(s, d, text);
}

/* Whole texts, or ranges of the text as the changes before left it. */
static void did_change(Server *s, const cJSON *params)
{
    const char *uri = text_at(params, "textDocument", "uri");
    Document *d = uri ? find(s, uri) : NULL;
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItem(params, "contentChanges"))
    {
        const cJSON *text = cJSON_GetObjectItem(change, "text");
        const cJSON *range = cJSON_GetObjectItem(change, "range");
        if (!d || !cJSON_IsString(text))
            continue;
        if (!range) {
            set_text(s, d, text->valuestring);
            continue;
        }
        int from = place_at(s, d->text, cJSON_GetObjectItem(range, "start"));
        int to = place_at(s, d->text, cJSON_GetObjectItem(range, "end"));
        char *now = NULL;
        to = to < from ? from : to;
        if (asprintf(&now, "%.*s%s%s", from, d->text, text->valuestring,
                     d->text + to) < 0)
            die("no memory for a text");
        set_text(s, d, now);
        free(now);
    }
}

static void forget(Document *d)
{
    analysis_free(d->now);
    free(d->uri);
    free(d->path);
    free(d->text);
}

static void did_close(Server *s, const cJSON *params)
{
    const char *uri = text_at(params, "textDocument", "uri");
    Document *d = uri ? find(s, uri) : NULL;
    if (!d)
        return;
    changed(s, d);
    forget(d);
    *d = s->open.at[--s->open.n];
}

/* ---- requests ---- */

static cJSON *capabilities(void)
{
    static const char text[] =
        "{\"textDocumentSync\": {\"openClose\": true, \"change\": 2},"
        "\"hoverProvider\": true, \"definitionProvider\": true,"
        "\"documentSymbolProvider\": true,"
        "\"documentFormattingProvider\": true,"
        "\"completionProvider\": {\"triggerCharacters\": [\".\"]}}";
    return cJSON_Parse(text);
}

static bool takes_bytes(const cJSON *params)
{
    const cJSON *general = cJSON_GetObjectItem(
        cJSON_GetObjectItem(params, "capabilities"), "general");
    const cJSON *one;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(general, "positionEncodings"))
        if (cJSON_IsString(one) && !strcmp(one->valuestring, "utf-8"))
            return true;
    return false;
}

static cJSON *initialize(Server *s, const cJSON *params)
{
    s->utf16 = !takes_bytes(params);
    cJSON *o = cJSON_CreateObject(), *can = capabilities();
    cJSON_AddStringToObject(can, "positionEncoding",
                            s->utf16 ? "utf-16" : "utf-8");
    cJSON_AddItemToObject(o, "capabilities", can);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "serverInfo"), "name",
                            "graft");
    return o;
}

/* Answers about a document; false: no such method. */
static bool about(Server *s, const char *method, const cJSON *params,
                  cJSON **answer)
{
    static const char *const name[] = {"hover", "definition", "documentSymbol",
                                       "formatting", "completion"};
    size_t which = 0;
    if (strncmp(method, "textDocument/", 13))
        return false;
    while (which < COUNT(name) && strcmp(method + 13, name[which]))
        which++;
    if (which == COUNT(name))
        return false;
    const char *uri = text_at(params, "textDocument", "uri");
    Document *d = uri ? find(s, uri) : NULL;
    if (!d)
        return true;
    look(s, d);
    int at = place_at(s, d->text, cJSON_GetObjectItem(params, "position"));
    *answer = which == 0   ? answer_hover(d, at)
              : which == 1 ? answer_definition(s, d, at)
              : which == 2 ? answer_symbols(s, d)
              : which == 3 ? answer_format(s, d)
                           : answer_completion(d, at);
    return true;
}

static void request(Server *s, const cJSON *id, const char *method,
                    const cJSON *params)
{
    cJSON *answer = NULL;
    if (s->stopped) {
        rpc_fail(s->out, id, -32600, "the server is shutting down");
    } else if (!strcmp(method, "initialize")) {
        rpc_answer(s->out, id, initialize(s, params));
    } else if (!strcmp(method, "shutdown")) {
        s->stopped = true;
        rpc_answer(s->out, id, NULL);
    } else if (about(s, method, params, &answer)) {
        rpc_answer(s->out, id, answer);
    } else {
        rpc_fail(s->out, id, -32601, "no such method");
    }
}

static void notification(Server *s, const char *method, const cJSON *params)
{
    if (!strcmp(method, "exit"))
        s->ended = true;
    else if (!strcmp(method, "textDocument/didOpen"))
        did_open(s, params);
    else if (!strcmp(method, "textDocument/didChange"))
        did_change(s, params);
    else if (!strcmp(method, "textDocument/didClose"))
        did_close(s, params);
}

static void handle(Server *s, const char *text)
{
    cJSON *m = cJSON_Parse(text);
    const cJSON *method = cJSON_GetObjectItem(m, "method");
    const cJSON *id = cJSON_GetObjectItem(m, "id");
    const cJSON *params = cJSON_GetObjectItem(m, "params");
    if (!m)
        rpc_fail(s->out, NULL, -32700, "this is no JSON");
    else if (!cJSON_IsString(method) && id && !cJSON_GetObjectItem(m, "result"))
        rpc_fail(s->out, id, -32600, "a request has a method");
    else if (cJSON_IsString(method) && id)
        request(s, id, method->valuestring, params);
    else if (cJSON_IsString(method))
        notification(s, method->valuestring, params);
    cJSON_Delete(m);
}

/* Is nothing waiting to be read? Then there is time to look at texts. */
static bool idle(FILE *in)
{
    struct pollfd p = {.fd = fileno(in), .events = POLLIN};
    return poll(&p, 1, 0) <= 0;
}

int lsp_serve(FILE *in, FILE *out)
{
    Server s = {.out = out, .utf16 = true};
    setvbuf(in, NULL, _IONBF, 0); /* so that poll() sees what waits */
    for (char *text; !s.ended && (text = rpc_read(in)); free(text)) {
        handle(&s, text);
        for (int i = 0; !s.ended && i < s.open.n; i++)
            if (s.open.at[i].untold && idle(in))
                publish(&s, &s.open.at[i]);
    }
    for (int i = 0; i < s.open.n; i++)
        forget(&s.open.at[i]);
    free(s.open.at);
    return s.stopped ? 0 : 1;
}
