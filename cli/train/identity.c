/* What a run was begun with, kept in run.json: going on with anything else
 * would give a model that no recipe describes. */
#include "cli/train/folder.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t hash_words(uint64_t seed, const void *data, size_t len)
{
    enum { LANES = 4 };
    const uint64_t by = 0x9e3779b97f4a7c15u;
    uint64_t lane[LANES], word;
    const char *at = data;
    for (int i = 0; i < LANES; i++)
        lane[i] = seed + by * (uint64_t)(i + 1);
    for (; len >= 8 * LANES; len -= 8 * LANES)
        for (int i = 0; i < LANES; i++, at += 8) {
            memcpy(&word, at, 8);
            lane[i] = (lane[i] ^ word) * by;
            lane[i] ^= lane[i] >> 29;
        }
    uint64_t all[LANES];
    memcpy(all, lane, sizeof all);
    return hash_bytes(hash_bytes(seed, all, sizeof all), at, len);
}

/* The content of a file; 0 where it cannot be read. */
static uint64_t hash_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t h = 0;
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
        size_t len = (size_t)st.st_size;
        void *at = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : "";
        if (at != MAP_FAILED) {
            h = hash_words(len, at, len);
            if (len)
                munmap(at, len);
        }
    }
    if (fd >= 0)
        close(fd);
    return h;
}

/* Of a folder's files: those that a model is made of. */
static bool counts(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot &&
           (!strcmp(dot, ".safetensors") || !strcmp(dot, ".json") ||
            !strcmp(dot, ".graft") || !strcmp(dot, ".jinja"));
}

static uint64_t hash_path(const char *path)
{
    Arena a = {0};
    struct dirent **list;
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return hash_file(path);
    uint64_t h = 1;
    int n = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        if (counts(name)) {
            uint64_t one = hash_file(arena_printf(&a, "%s/%s", path, name));
            h = hash_bytes(h, name, strlen(name) + 1);
            h = hash_bytes(h, &one, sizeof one);
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    arena_free(&a);
    return h;
}

/* ---- what counts ---- */

static void add_hash(cJSON *to, const char *name, uint64_t h)
{
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)h);
    if (!cJSON_GetObjectItemCaseSensitive(to, name))
        cJSON_AddStringToObject(to, name, text);
}

static void add_path(cJSON *to, const char *path)
{
    if (!cJSON_GetObjectItemCaseSensitive(to, path))
        add_hash(to, path, hash_path(path));
}

static void add_models(cJSON *files, const RunModel *m)
{
    if (!m)
        return;
    add_path(files, m->folder);
    for (int i = 0; i < m->all.n; i++)
        for (int j = 0; j < m->all.at[i].with.n; j++)
            add_models(files, m->all.at[i].with.at[j].model);
}

static void add_data(cJSON *files, const RunData *d)
{
    if (!d)
        return;
    add_path(files, d->spec.path);
    if (d->spec.style && !access(d->spec.style, F_OK))
        add_path(files, d->spec.style);
}

static uint64_t hash_text(const RunPlan *p)
{
    const Ast *const *tree;
    int n = spec_files(p->spec, &tree);
    uint64_t h = hash_bytes(0, p->recipe->text, strlen(p->recipe->text));
    for (int i = 0; i < n; i++)
        h = hash_bytes(h, tree[i]->src->text, (size_t)tree[i]->src->len);
    return h;
}

static cJSON *identity(const Run *r)
{
    cJSON *o = cJSON_CreateObject();
    const Common *c = r->common;
    cJSON_AddStringToObject(o, "version", CLI_VERSION);
    add_hash(o, "recipe", hash_text(&r->plan));
    cJSON_AddStringToObject(o, "target",
                            c->target == TARGET_interp ? "interp" : "cpu");
    cJSON_AddStringToObject(o, "dtype",
                            c->has_dtype ? type_info[c->dtype].name : "");
    cJSON *arg = cJSON_AddObjectToObject(o, "parameters");
    for (int i = 0; i < r->plan.arg->n; i++)
        cJSON_AddStringToObject(arg, r->plan.arg->at[i].name,
                                r->plan.arg->at[i].value);
    cJSON *files = cJSON_AddObjectToObject(o, "files");
    for (int i = 0; i < r->plan.action.n; i++) {
        const Action *act = &r->plan.action.at[i];
        add_models(files, act->model);
        add_models(files, act->teacher);
        add_data(files, act->data);
    }
    return o;
}

/* ---- compared ---- */

static bool changed(const Run *r, const char *what, const char *was,
                    const char *is, Err *err)
{
    return err_set(err, "%.300s: it was begun with another %.300s%s%.60s%s%.60s"
                        "%s; --restart begins anew", r->folder, what,
                   was && is ? " (" : "", was && is ? was : "",
                   was && is ? ", now " : "", was && is ? is : "",
                   was && is ? ")" : "");
}

static bool same(const cJSON *a, const cJSON *b)
{
    return cJSON_IsString(a) && cJSON_IsString(b) &&
           !strcmp(a->valuestring, b->valuestring);
}

/* Members of one object against another's. */
static bool same_members(const Run *r, const cJSON *was, const cJSON *is,
                         const char *what, Err *err)
{
    for (const cJSON *v = is ? is->child : NULL; v; v = v->next)
        if (!same(cJSON_GetObjectItemCaseSensitive(was, v->string), v))
            return changed(r, intern_printf("%s%s", what, v->string), NULL,
                           NULL, err);
    for (const cJSON *v = was ? was->child : NULL; v; v = v->next)
        if (!cJSON_GetObjectItemCaseSensitive(is, v->string))
            return changed(r, intern_printf("%s%s", what, v->string), NULL,
                           NULL, err);
    return true;
}

static bool compare(const Run *r, const cJSON *was, const cJSON *is, Err *err)
{
    static const char *const plain[] = {"version", "recipe", "target",
                                        "dtype"};
    for (size_t i = 0; i < COUNT(plain); i++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(was, plain[i]),
                    *b = cJSON_GetObjectItemCaseSensitive(is, plain[i]);
        bool tells = i != 1 && cJSON_IsString(a);
        if (!same(a, b))
            return changed(r, plain[i], tells ? a->valuestring : NULL,
                           tells ? b->valuestring : NULL, err);
    }
    return same_members(r, cJSON_GetObjectItemCaseSensitive(was, "parameters"),
                        cJSON_GetObjectItemCaseSensitive(is, "parameters"),
                        "value of ", err) &&
           same_members(r, cJSON_GetObjectItemCaseSensitive(was, "files"),
                        cJSON_GetObjectItemCaseSensitive(is, "files"), "",
                        err);
}

bool identity_check(Run *r, Err *err)
{
    const char *path = arena_printf(&r->plan.arena, "%s/run.json", r->folder);
    size_t len;
    cJSON *is = identity(r);
    char *text = access(path, F_OK) ? NULL : read_file(path, &len, err);
    bool fine;
    if (text) {
        cJSON *was = cJSON_Parse(text);
        fine = was ? compare(r, was, is, err)
                   : err_set(err, "%s: it is damaged; --restart begins anew",
                             path);
        cJSON_Delete(was);
    } else {
        char *out = cJSON_Print(is);
        fine = file_write(path, out, strlen(out), err);
        cJSON_free(out);
    }
    free(text);
    cJSON_Delete(is);
    return fine;
}
