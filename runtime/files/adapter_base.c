/* A folder with adapter_config.json is no model: which model is its base, and
 * where that is. The base's name is a path, or that of a model in the hub's
 * cache on this machine. */
#include "runtime/files/files_private.h"
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static const char *text_of(const cJSON *o, const char *field)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, field);
    return cJSON_IsString(v) && *v->valuestring ? v->valuestring : NULL;
}

/* "name" or "org/name", and no path. */
static bool hub_name(const char *s)
{
    int slashes = 0;
    for (const char *c = s; *c; c++) {
        slashes += *c == '/';
        if (!strchr("/-_.", *c) && !(*c >= '0' && *c <= '9') &&
            !((*c | 32) >= 'a' && (*c | 32) <= 'z'))
            return false;
    }
    return slashes < 2 && *s != '/' && *s != '.' && !strstr(s, "..") &&
           strlen(s) < 200;
}

/* The hub's cache as huggingface_hub finds it. */
static const char *hub_folder(Arena *a)
{
    const char *at = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME");
    const char *cache = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
    if (at)
        return at;
    if (home)
        return arena_printf(a, "%s/hub", home);
    return cache ? arena_printf(a, "%s/huggingface/hub", cache)
                 : arena_printf(a, "%s/.cache/huggingface/hub",
                                user ? user : "");
}

/* HUB/models--org--name/snapshots/COMMIT, the commit that refs/REVISION names.
 * NULL: not there. */
static const char *in_hub(Arena *a, const char *name, const char *revision)
{
    char flat[512] = "";
    size_t n = 0, len;
    Err none;
    if (!hub_name(name) || !hub_name(revision))
        return NULL;
    for (const char *c = name; *c; c++)
        n += (size_t)sprintf(flat + n, "%s",
                             *c == '/' ? "--" : (char[]){*c, 0});
    const char *model = arena_printf(a, "%s/models--%s", hub_folder(a), flat);
    const char *ref = arena_printf(a, "%s/refs/%s", model, revision);
    char *commit = path_exists(ref) ? read_file(ref, &len, &none) : NULL;
    if (commit)
        commit[strcspn(commit, "\r\n")] = 0;
    const char *is = commit && hub_name(commit) ? commit : revision;
    const char *at = arena_printf(a, "%s/snapshots/%s", model, is);
    free(commit);
    return is_folder(at) ? at : NULL;
}

bool adapter_open(Checkpoint *c, const char *base, Err *err)
{
    size_t len;
    const char *path = arena_printf(&c->arena, "%s/adapter_config.json",
                                    c->path);
    char *text = read_file(path, &len, err);
    if (!text)
        return false;
    c->adapter = c->path;
    c->adapter_config = json_object(path, text, len, err);
    free(text);
    if (!c->adapter_config)
        return false;
    const char *kind = text_of(c->adapter_config, "peft_type");
    const char *name = text_of(c->adapter_config, "base_model_name_or_path");
    const char *revision = text_of(c->adapter_config, "revision");
    if (!base && name)
        base = path_exists(name) ? name
                                 : in_hub(&c->arena, name,
                                          revision ? revision : "main");
    if (!base)
        return err_set(err, "%s: a PEFT adapter (%.20s) for %.200s, which is "
                       "not on this machine: --base MODEL says where it is",
                       c->path, kind ? kind : "of no kind",
                       name ? name : "a model without a name");
    c->path = arena_strn(&c->arena, base, strlen(base));
    return true;
}
