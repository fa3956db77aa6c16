"""What the final reads say of every payment that was ever asked for."""


class FinalReads:
    """found, absent: id -> Op of the final phase; unread: ids without either."""

    def __init__(self, run):
        commands = run.commands
        self.found, self.absent = {}, {}
        for identity, testimonies in commands.testimonies.items():
            for testimony in testimonies:
                if testimony.op.phase == "final" and testimony.stored is not None:
                    self.found[identity] = testimony.op
        for identity, ops in commands.absent.items():
            for op in ops:
                if op.phase == "final" and op.linearizable:
                    self.absent[identity] = op
        self.unread = [identity for identity in commands.attempts
                       if identity not in self.found and identity not in self.absent]
        self.infos = [op for op in run.ops
                      if op.phase == "final" and op.f == "info" and op.result is not None]

    @property
    def complete(self):
        return not self.unread and bool(self.infos)
