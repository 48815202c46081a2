"""SQLAlchemy 2 on psycopg 3 and asyncpg: schema, reflection, ORM, relations, bulk writes, savepoints."""

import asyncio

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from steps import error, port, show

ADDRESS = f"app@127.0.0.1:{port()}/app"


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "sa_book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    price: orm.Mapped[float] = orm.mapped_column(sa.Numeric(10, 2))
    tags: orm.Mapped[list[str]] = orm.mapped_column(sa.ARRAY(sa.String))
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("sa_author.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


engine = sa.create_engine(f"postgresql+psycopg://{ADDRESS}", pool_size=3, connect_args={"sslmode": "disable"})
Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
with orm.Session(engine) as session:
    for number in range(10):
        author = Author(name=f"author {number}")
        author.books = [Book(title=f"book {number}.{i}", price=i * 1.5, tags=[f"t{i}", "all"]) for i in range(number % 4)]
        session.add(author)
    session.commit()
    show("ids", session.scalars(sa.select(Author.id).order_by(Author.id)).all())
    query = sa.select(Author.name, sa.func.count(Book.id)).outerjoin(Book).group_by(Author.name).order_by(Author.name)
    show("counts", [tuple(row) for row in session.execute(query)])
    loaded = session.scalars(sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id)).all()
    show("loaded", [(a.name, [b.title for b in a.books]) for a in loaded][:4])
    show("joined", [b.author.name for b in session.scalars(sa.select(Book).options(orm.joinedload(Book.author)).order_by(Book.id).limit(3))])
    loaded[3].books.pop()
    loaded[3].name = "renamed"
    session.delete(loaded[2])
    session.commit()
    show("after delete", session.scalar(sa.select(sa.func.count()).select_from(Book)))
    try:
        with session.begin_nested():
            session.add(Author(name="renamed"))
            session.flush()
    except sa.exc.IntegrityError as exception:
        error("savepoint", exception)
    session.add(Author(name="after savepoint"))
    session.commit()
    show("names", session.scalars(sa.select(Author.name).order_by(Author.id)).all())
    session.execute(sa.insert(Author), [{"name": f"bulk {i}"} for i in range(500)])
    returned = session.execute(sa.insert(Author).returning(Author.name), [{"name": f"more {i}"} for i in range(5)])
    show("bulk returning", sorted(returned.scalars().all()))
    show("updated", session.execute(sa.update(Author).where(Author.name.like("bulk%")).values(name=Author.name + "!")).rowcount)
    session.rollback()
    stream = session.execute(sa.select(Book.id).order_by(Book.id).execution_options(yield_per=2)).scalars()
    show("streamed", len(list(stream)))
    session.commit()
inspector = sa.inspect(engine)
show("tables", sorted(name for name in inspector.get_table_names() if name.startswith("sa_")))
show("columns", [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns("sa_book")])
show("keys", inspector.get_foreign_keys("sa_book"))
show("unique", inspector.get_unique_constraints("sa_author"))
with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
    show("isolation", connection.scalar(sa.text("show transaction_isolation")))
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    connection.execute(sa.text("vacuum sa_book"))
    show("vacuum", "done")


async def asynchronous():
    async_engine = create_async_engine(f"postgresql+asyncpg://{ADDRESS}", connect_args={"ssl": False})
    async with AsyncSession(async_engine) as session:
        session.add(Author(name="asynchronous"))
        await session.commit()
        result = await session.execute(sa.select(Author.name).where(Author.name == "asynchronous"))
        show("async", result.scalars().all())
        stream = await session.stream(sa.select(Book.id).order_by(Book.id))
        show("async stream", len([row async for row in stream]))
    await async_engine.dispose()


asyncio.run(asynchronous())
Base.metadata.drop_all(engine)
