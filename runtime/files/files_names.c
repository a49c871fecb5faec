/* Names to numbers by open addressing, and which names are fit to print. */
#include "runtime/files/files_private.h"
#include <string.h>

static struct Slot *slot_of(const NameIndex *x, const char *name)
{
    size_t mask = (size_t)x->room - 1;
    size_t at = hash_of_name(name, strlen(name)) & mask;
    while (x->slot[at].name && strcmp(x->slot[at].name, name))
        at = (at + 1) & mask;
    return &x->slot[at];
}

static void grow(NameIndex *x)
{
    NameIndex old = *x;
    x->room = old.room ? 2 * old.room : 64;
    x->slot = xmalloc((size_t)x->room * sizeof *x->slot);
    memset(x->slot, 0, (size_t)x->room * sizeof *x->slot);
    for (int i = 0; i < old.room; i++)
        if (old.slot[i].name)
            *slot_of(x, old.slot[i].name) = old.slot[i];
    free(old.slot);
}

bool names_add(NameIndex *x, const char *name, int value)
{
    if (2 * x->n >= x->room)
        grow(x);
    struct Slot *s = slot_of(x, name);
    if (s->name)
        return false;
    *s = (struct Slot){name, value};
    x->n++;
    return true;
}

int name_index_find(const NameIndex *x, const char *name)
{
    if (!x->room)
        return -1;
    const struct Slot *s = slot_of(x, name);
    return s->name ? s->value : -1;
}

void names_free(NameIndex *x)
{
    free(x->slot);
    *x = (NameIndex){0};
}

bool name_printable(const char *name, size_t len)
{
    if (!len || len > 500 || !utf8_valid(name, len, NULL))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return false;
    return true;
}
