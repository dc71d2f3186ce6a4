//! What each call does.

use littlefs::{Error, Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};

use crate::model::{Change, DIR, Files, blank, content, read_all, segment};

#[test]
fn files_are_there_after_another_mount() {
    let (mut nor, region) = blank(40);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    fs.make_dir(&mut nor, DIR).unwrap();
    fs.make_dir(&mut nor, DIR).unwrap();
    let mut files = Files::new();
    for (number, length) in [0, 1, 40, 400, 512, 513, 4095, 4096, 4097, 20_000]
        .into_iter()
        .enumerate()
    {
        let change = Change::write(segment(number as u64), length, number as u64);
        change.apply(&mut fs, &mut nor).unwrap();
        change.expect(&mut files);
    }
    assert_eq!(read_all(&mut fs, &mut nor).unwrap(), files);
    let operations = nor.counters().operations;
    let mut fs = Littlefs::mount(&mut nor, region).unwrap();
    assert_eq!(read_all(&mut fs, &mut nor).unwrap(), files);
    assert_eq!(
        nor.counters().operations,
        operations,
        "reading writes nothing"
    );
    assert_eq!(nor.counters().violations, 0);
    assert_eq!(nor.counters().reprogrammed_bytes, 0);
    let outside = |sector: usize| {
        nor.bytes()[sector * SECTOR_BYTES..][..SECTOR_BYTES]
            .iter()
            .all(|&byte| byte == 0xFF)
    };
    assert!(outside(0) && outside(41), "only the region is written");
}

#[test]
fn file_of_a_block_takes_one_block_and_a_small_one_none() {
    let (mut nor, region) = blank(40);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    let free = fs.free_blocks(&mut nor).unwrap();
    assert_eq!(free, 38);
    fs.write(&mut nor, "/small", &content(512, 1)).unwrap();
    assert_eq!(fs.free_blocks(&mut nor).unwrap(), free);
    fs.write(&mut nor, "/block", &content(4096, 2)).unwrap();
    assert_eq!(fs.free_blocks(&mut nor).unwrap(), free - 1);
    fs.write(&mut nor, "/blocks", &content(4097, 3)).unwrap();
    assert_eq!(fs.free_blocks(&mut nor).unwrap(), free - 3);
    fs.remove(&mut nor, "/blocks").unwrap();
    assert_eq!(fs.free_blocks(&mut nor).unwrap(), free - 1);
}

#[test]
fn part_of_a_file_is_read() {
    let (mut nor, region) = blank(16);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    for length in [300, 4096, 10_000] {
        let bytes = content(length, 5);
        fs.write(&mut nor, "/file", &bytes).unwrap();
        assert_eq!(fs.size(&mut nor, "/file"), Ok(Some(length as u32)));
        for (offset, wanted) in [
            (0, 10),
            (7, 100),
            (length - 5, 50),
            (length, 4),
            (length + 9, 4),
        ] {
            let mut buffer = vec![0; wanted];
            let read = fs
                .read(&mut nor, "/file", offset as u32, &mut buffer)
                .unwrap();
            let there = bytes.get(offset..).unwrap_or(&[]);
            assert_eq!(buffer[..read], there[..wanted.min(there.len())]);
            assert_eq!(read, wanted.min(there.len()));
        }
    }
}

#[test]
fn what_cannot_be_done_is_an_error_and_changes_nothing() {
    let (mut nor, region) = blank(16);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    fs.make_dir(&mut nor, "/dir").unwrap();
    fs.write(&mut nor, "/dir/file", b"content").unwrap();
    let image = nor.bytes().to_vec();
    let mut buffer = [0; 8];
    let long = format!("/{}", "a".repeat(200));
    assert_eq!(
        fs.read(&mut nor, "/none", 0, &mut buffer),
        Err(Error::Absent)
    );
    assert_eq!(
        fs.read(&mut nor, "/dir", 0, &mut buffer),
        Err(Error::IsDirectory)
    );
    assert_eq!(fs.size(&mut nor, "/none"), Ok(None));
    assert_eq!(fs.size(&mut nor, "/dir"), Err(Error::IsDirectory));
    assert_eq!(fs.write(&mut nor, "/none/file", b"x"), Err(Error::Absent));
    assert_eq!(fs.write(&mut nor, "/dir", b"x"), Err(Error::IsDirectory));
    assert_eq!(
        fs.write(&mut nor, "/dir/file/x", b"x"),
        Err(Error::NotDirectory)
    );
    assert_eq!(fs.write(&mut nor, "/", b"x"), Err(Error::BadPath));
    assert_eq!(fs.write(&mut nor, &long, b"x"), Err(Error::TooLong));
    assert_eq!(fs.remove(&mut nor, "/none"), Ok(()));
    assert_eq!(fs.remove(&mut nor, "/dir"), Err(Error::NotEmpty));
    assert_eq!(fs.make_dir(&mut nor, "/dir/file"), Err(Error::NotDirectory));
    assert_eq!(
        fs.list(&mut nor, "/none", &mut |_, _| true),
        Err(Error::Absent)
    );
    assert_eq!(
        fs.list(&mut nor, "/dir/file", &mut |_, _| true),
        Err(Error::NotDirectory)
    );
    assert_eq!(nor.bytes(), image);
    let too_much = fs.write(&mut nor, "/dir/file", &content(80_000, 1));
    assert_eq!(too_much, Err(Error::NoSpace));
    assert_eq!(fs.read(&mut nor, "/dir/file", 0, &mut buffer), Ok(7));
    assert_eq!(&buffer[..7], b"content");
    fs.write(&mut nor, "/dir/file", &content(8000, 1)).unwrap();
    fs.remove(&mut nor, "/dir/file").unwrap();
    fs.remove(&mut nor, "/dir").unwrap();
    assert_eq!(fs.free_blocks(&mut nor), Ok(14));
}

#[test]
fn list_is_in_order_of_names_and_stops_when_told() {
    let (mut nor, region) = blank(60);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    fs.make_dir(&mut nor, DIR).unwrap();
    for number in (0..300).map(|number| number * 77 % 300) {
        fs.write(&mut nor, &segment(number), &number.to_le_bytes())
            .unwrap();
    }
    let mut names = Vec::new();
    fs.list(&mut nor, DIR, &mut |name, size| {
        assert_eq!(size, 8);
        names.push(name.to_owned());
        true
    })
    .unwrap();
    let expected: Vec<_> = (0..300)
        .map(|number| segment(number)[DIR.len() + 1..].to_owned())
        .collect();
    assert_eq!(names, expected);
    let mut shown = 0;
    fs.list(&mut nor, DIR, &mut |_, _| {
        shown += 1;
        shown < 5
    })
    .unwrap();
    assert_eq!(shown, 5);
    fs.remove(&mut nor, &segment(7)).unwrap();
}

#[test]
fn region_without_littlefs_or_of_another_size_is_told() {
    let (mut nor, region) = blank(16);
    assert_eq!(
        Littlefs::mount(&mut nor, region).err(),
        Some(Error::NotLittlefs)
    );
    Littlefs::format(&mut nor, region).unwrap();
    let mount = |nor: &mut Nor, first_sector, sectors| {
        Littlefs::mount(
            nor,
            Region {
                first_sector,
                sectors,
            },
        )
        .err()
    };
    assert_eq!(mount(&mut nor, 1, 16), None);
    assert_eq!(mount(&mut nor, 1, 12), Some(Error::Geometry));
    assert!(matches!(mount(&mut nor, 1, 40), Some(Error::Flash(_))));
    assert!(matches!(
        mount(&mut nor, u32::MAX, 16),
        Some(Error::Flash(_))
    ));
    assert_eq!(mount(&mut nor, 1, 1), Some(Error::Geometry));
}
