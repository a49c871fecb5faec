/* A folder's chat templates: chat_template in tokenizer_config.json is a text
 * or a list of named ones; the files chat_template.jinja and
 * additional_chat_templates/NAME.jinja win over it. */
#include "runtime/files/files_private.h"
#include "runtime/tokens/tokenizer_read.h"
#include <dirent.h>
#include <string.h>

static void put(Vocabulary *v, Arena *a, const char *name, const char *text)
{
    text = arena_printf(a, "%s", text);
    if (!strcmp(name, "default")) {
        v->chat_template = text;
        return;
    }
    for (int i = 0; i < v->template.n; i++)
        if (!strcmp(v->template.at[i].name, name)) {
            v->template.at[i].text = text;
            return;
        }
    list_push(a, &v->template,
              (NamedTemplate){arena_printf(a, "%s", name), text});
}

static void put_list(Vocabulary *v, Arena *a, const cJSON *list)
{
    for (const cJSON *i = list->child; i; i = i->next) {
        const cJSON *name = field(i, "name"), *text = field(i, "template");
        if (cJSON_IsString(name) && cJSON_IsString(text))
            put(v, a, name->valuestring, text->valuestring);
    }
}

static void put_file(Vocabulary *v, Arena *a, const char *name,
                     const char *path)
{
    size_t len;
    Err err;
    char *text = path_exists(path) ? read_file(path, &len, &err) : NULL;
    if (text && strlen(text) == len && utf8_valid(text, len, NULL))
        put(v, a, name, text);
    free(text);
}

static int by_name(const void *a, const void *b)
{
    const NamedTemplate *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void put_folder(Vocabulary *v, Arena *a, const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n > 6 && *e->d_name != '.' &&
            !strcmp(e->d_name + n - 6, ".jinja"))
            put_file(v, a, arena_strn(a, e->d_name, n - 6),
                     arena_printf(a, "%s/%s", path, e->d_name));
    }
    if (dir)
        closedir(dir);
}

void vocabulary_templates(Vocabulary *v, Arena *a, const char *path,
                          const cJSON *config)
{
    const cJSON *said = field(config, "chat_template");
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0;
    if (cJSON_IsString(said))
        put(v, a, "default", said->valuestring);
    else if (cJSON_IsArray(said))
        put_list(v, a, said);
    put_file(v, a, "default",
             arena_printf(a, "%.*schat_template.jinja", dir, path));
    put_folder(v, a,
               arena_printf(a, "%.*sadditional_chat_templates", dir, path));
    if (v->template.n)
        qsort(v->template.at, (size_t)v->template.n, sizeof *v->template.at,
              by_name);
}
