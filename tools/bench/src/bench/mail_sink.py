"""A mail server (RFC 5321) that takes every mail at once and keeps a count. `MAILS` answers how many, for us alone."""

import argparse
import asyncio

_ANSWERS = {
    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 ok\r\n",
    b"RCPT": b"250 ok\r\n",
    b"RSET": b"250 ok\r\n",
    b"NOOP": b"250 ok\r\n",
}


class Sink:
    """Counts mails."""

    def __init__(self) -> None:
        self.mails = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.mails += 1
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            elif line.strip() == b"MAILS":
                writer.write(b"250 %d\r\n" % self.mails)
            else:
                writer.write(_ANSWERS.get(verb, b"502 unknown\r\n"))
            await writer.drain()
        writer.close()


async def mails(port: int) -> int:
    """How many the sink on this port has taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"MAILS\r\n")
    answer = await reader.readline()
    writer.close()
    return int(answer.split()[1])


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(Sink().talk, "127.0.0.1", port, limit=1 << 22)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
