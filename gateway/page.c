/*
 * The status page of GET /: page.html, embedded at build time. One document without foreign parts.
 * It asks the node by POST /v1 every second and shows texts only (textContent), so that no name of
 * an account or a cluster can become markup; amounts stay strings.
 */
#include "gateway/render.h"

static const uint8_t page[] = {
#include "gateway_page.inc"
};

struct text page_text(void)
{
    return (struct text){.data = (const char *)page, .size = sizeof page};
}
