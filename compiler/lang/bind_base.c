/* Configs as they were before transforms set fields in them. */
#include "compiler/lang/elab.h"
#include <string.h>

/* A copy that lives as long as the arena. */
static cJSON *json_keep(Arena *a, const cJSON *from)
{
    cJSON *to = arena_alloc(a, sizeof *to), *last = NULL;
    *to = *from;
    to->next = to->prev = to->child = NULL;
    if (from->string)
        to->string = arena_strn(a, from->string, strlen(from->string));
    if (from->valuestring)
        to->valuestring =
            arena_strn(a, from->valuestring, strlen(from->valuestring));
    for (const cJSON *v = from->child; v; v = v->next) {
        cJSON *kid = json_keep(a, v);
        kid->prev = last;
        *(last ? &last->next : &to->child) = kid;
        last = kid;
    }
    if (last)
        to->child->prev = last; /* as cJSON has it */
    return to;
}

static void set_or_drop(cJSON *base, const char *name, const cJSON *old)
{
    if (!old || cJSON_IsNull(old))
        cJSON_DeleteItemFromObjectCaseSensitive(base, name);
    else
        json_set(base, name, cJSON_Duplicate(old, true));
}

cJSON *base_config(Arena *a, const cJSON *config)
{
    cJSON *base = cJSON_Duplicate(config, true);
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(config, "graft");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(graft, "base");
    for (const cJSON *v = old ? old->child : NULL; v; v = v->next)
        set_or_drop(base, v->string, v);
    cJSON_DeleteItemFromObjectCaseSensitive(base, "graft");
    cJSON *kept = json_keep(a, base);
    cJSON_Delete(base);
    return kept;
}

cJSON *made_base(Arena *a, const Ast *def, const Ast *t,
                        const cJSON *config)
{
    const cJSON *graft = cJSON_GetObjectItemCaseSensitive(config, "graft");
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(graft, "base");
    const Ast *names = config_of(def) ? config_of(def)->kid[0] : NULL;
    const char *arch = names && names->nkid ? names->kid[0]->text : "";
    cJSON *base = base_config(a, config);
    if (cJSON_GetObjectItemCaseSensitive(old, "architectures"))
        return base;
    cJSON *copy = cJSON_Duplicate(base, true);
    for (int i = 1; i < config_of(t)->nkid; i++)
        if (config_of(t)->kid[i]->kind == AST_field)
            set_or_drop(copy, config_of(t)->kid[i]->text, NULL);
    json_set(copy, "architectures", cJSON_CreateStringArray(&arch, 1));
    json_set(copy, "model_type", cJSON_CreateString(def->text));
    base = json_keep(a, copy);
    cJSON_Delete(copy);
    return base;
}
