/*
 * What a request asks for, found without parsing it: good enough to refuse it, never to serve it.
 */
#ifndef GATEWAY_GLANCE_H
#define GATEWAY_GLANCE_H

#include "gateway/message.h"

/*
 * The id and the method of a message that looks like one plain request: an object with "jsonrpc":
 * "2.0", an id and a method, none of them with escapes or twice. Values of other keys are stepped
 * over, and whether they are JSON is not known afterwards. False: the message has to be parsed to
 * say what it is. `method` borrows from the text.
 */
bool glance(struct text text, struct request_id *id, struct text *method);

#endif
