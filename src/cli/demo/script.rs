//! What the cast talks about. Lines name a role, not a person: who plays whom is drawn anew for each
//! dialogue, and `{1}` is the first name of who plays role 1.

/// One thing that somebody says.
pub(super) struct Line {
    /// Who: a number from 0, the same within a dialogue.
    pub(super) role: usize,
    /// What.
    pub(super) text: &'static str,
}

/// A room and what is talked about there.
pub(super) struct Scene {
    pub(super) room: &'static str,
    pub(super) topic: &'static str,
    pub(super) dialogues: &'static [&'static [Line]],
}

/// Everybody.
pub(super) const CAST: &[&str] =
    &["Mira Okafor", "Jonas Lindqvist", "Priya Raman", "Tomás Vega", "Yuki Tanaka", "Lena Hoffmann", "Sam Whitlock"];

const fn line(role: usize, text: &'static str) -> Line {
    Line { role, text }
}

/// All rooms, in the order in which they are made.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        room: "kitchen",
        topic: "Coffee, lunch, and who took the last oat milk",
        dialogues: &[
            &[
                line(0, "Anybody up for lunch at the noodle place?"),
                line(1, "Yes! 12:15?"),
                line(2, "I have a call until half past. Order me the number 7 and I'll run."),
                line(0, "Done. {2}, extra chilli as always?"),
                line(2, "You know me 🌶️"),
            ],
            &[
                line(0, "The grinder makes that noise again."),
                line(1, "The sad one or the angry one?"),
                line(0, "Somewhere between. Like a violin that regrets something."),
                line(1, "I'll clean it this afternoon."),
                line(2, "{1} is a hero and should get the first cup."),
            ],
            &[
                line(0, "I baked cardamom buns. They are on the windowsill, there are eleven left."),
                line(1, "Ten."),
                line(2, "Nine. These are unreal."),
                line(3, "I'm at home today and I would like it noted that this is cruel."),
                line(0, "One is in the freezer with your name on it, {3}."),
            ],
            &[
                line(0, "Who waters the big plant this week?"),
                line(1, "Me, but it was {2} who repotted it, so it listens to them now."),
                line(2, "It has a new leaf! Come and look."),
            ],
        ],
    },
    Scene {
        room: "release",
        topic: "What ships, when, and what is in the way",
        dialogues: &[
            &[
                line(0, "Release candidate 2 is up. Please give it a spin before four."),
                line(1, "Upgraded my copy, took nine seconds. History is all there."),
                line(2, "I killed it twice in the middle of a burst and it came back without a scratch."),
                line(0, "Lovely. {2}, did resume show the right messages?"),
                line(2, "Exactly the 214 I had missed, in order. I counted."),
                line(3, "Then I call it: we ship tomorrow at ten."),
            ],
            &[
                line(0, "The changelog still says \"various improvements\". Can we say what improved?"),
                line(1, "Fair. I'll write one line for each, from the point of view of somebody who uses it."),
                line(0, "Thank you. Future us will thank you as well."),
            ],
            &[
                line(0, "Found one: on a narrow screen the date sits under the avatar."),
                line(1, "Got it, a missing min-width. Fix is in, with a picture before and after."),
                line(2, "Checked on a small phone, looks right."),
                line(0, "Closing it. That was eleven minutes, by the way."),
            ],
            &[
                line(0, "Do we freeze on Thursday or on Friday?"),
                line(1, "Thursday noon. Nothing good ever happened to us on a Friday."),
                line(2, "Seconded."),
                line(3, "Written into the calendar. No exceptions, not even for {0}."),
                line(0, "I had one commit, ONE."),
            ],
        ],
    },
    Scene {
        room: "support",
        topic: "Questions from people who use it, and good answers",
        dialogues: &[
            &[
                line(0, "A school asks whether they can run it on the old laptop in the teachers' room."),
                line(1, "How old?"),
                line(0, "Two cores, four gigabytes."),
                line(1, "That is plenty. One binary, one folder, tell them to copy the folder on Fridays."),
                line(2, "There is `bobchat backup`, it works while people are writing."),
                line(0, "Even better, I'll send them that."),
            ],
            &[
                line(
                    0,
                    "Somebody writes: \"I closed the lid, opened it on the train, and everything I had typed went out.\"",
                ),
                line(1, "Is that a complaint?"),
                line(0, "It's a love letter, I think."),
                line(2, "Frame it."),
            ],
            &[
                line(0, "How do I explain what a seq is to somebody who doesn't program?"),
                line(1, "Page numbers in a notebook that everybody writes into. Nobody can squeeze one in between."),
                line(0, "That works. Stealing it."),
            ],
            &[
                line(0, "Ticket of the week: \"Can it be louder?\""),
                line(1, "Louder how?"),
                line(0, "They meant the colours. I pointed them at the dark theme."),
                line(2, "Ship a megaphone 📣"),
            ],
        ],
    },
    Scene {
        room: "reading",
        topic: "Books, papers, and long articles for the train",
        dialogues: &[
            &[
                line(0, "Finished the lighthouse novel. I didn't expect the last chapter at all."),
                line(1, "No spoilers, I'm at the storm!"),
                line(0, "My lips are sealed. Tell me when you reach the letters."),
                line(2, "Adding it to my pile. The pile is now taller than the cat."),
            ],
            &[
                line(0, "Good old paper on why clocks in different places can't agree, and why that's fine."),
                line(1, "The one with the diagrams that look like knitting?"),
                line(0, "That one. Read section three with coffee, not before."),
                line(2, "I read it without coffee. I agree with nobody now."),
            ],
            &[
                line(0, "What do you all read on trains?"),
                line(1, "Short stories. One station each."),
                line(2, "Manuals for machines I don't own."),
                line(3, "{2}, that explains so much."),
            ],
        ],
    },
    Scene {
        room: "garden",
        topic: "The rooftop, the tomatoes, the weather",
        dialogues: &[
            &[
                line(0, "First tomato! Small, but it is red and it is ours."),
                line(1, "Slice it into seven."),
                line(0, "With a ruler, of course."),
                line(2, "I bring salt."),
            ],
            &[
                line(0, "Storm warning for tonight. Can somebody help me tie down the beans?"),
                line(1, "On my way, five minutes."),
                line(2, "Me too, I have rope from the climbing bag."),
                line(0, "You are the best. Beans say thanks."),
                line(1, "All tight. They look like a very small ship."),
            ],
            &[
                line(0, "The bees found the lavender 🐝"),
                line(1, "How many?"),
                line(0, "I stopped counting at thirty, and they did not stop at all."),
            ],
        ],
    },
    Scene {
        room: "music",
        topic: "What's playing, who plays along",
        dialogues: &[
            &[
                line(0, "Rehearsal on Wednesday at seven, the usual cellar. Who can make it?"),
                line(1, "Me and the bass."),
                line(2, "I can, but I have to leave at nine."),
                line(3, "I'll be late by a quarter of an hour, start with the slow one."),
                line(0, "Good. {2}, please bring the long cable, ours has died."),
            ],
            &[
                line(0, "This has been on repeat since Monday: three chords and a trumpet that comes in far too late."),
                line(1, "Too late is exactly when a trumpet should come in."),
                line(2, "Putting that on a wall."),
            ],
            &[
                line(0, "Question: is it still a cover if we changed the words, the key and the tempo?"),
                line(1, "Then it's a friendship."),
                line(0, "I accept this ruling."),
            ],
        ],
    },
];
