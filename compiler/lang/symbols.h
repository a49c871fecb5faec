/* Private to symbols.c and cases.c: what is unknown of a model. */
#pragma once
#include "compiler/lang/elab.h"

typedef struct {
    const void *owner;
    const char *name; /* as the owner calls it */
    const Size *size;
    bool index; /* of an array: 0, 1, .. */
} Unknown;

struct Symbols {
    LIST(Unknown) at;
    bool guesses;
    LIST(Node *) condition;
    bool deciding;
    unsigned truth;
    LIST(SizeFact) fact;
    LIST(const Size *) divided;
};
